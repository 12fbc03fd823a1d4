from gristmill.text.sentences import count_sentences, sentence_ends


def test_sentences_end_at_marks_before_a_space() -> None:
    text = 'He said "Go!" It is 3.5 km, e.g.this way... Is it? Yes'
    assert [text[:end] for end in sentence_ends(text)] == [
        'He said "Go!"',
        'He said "Go!" It is 3.5 km, e.g.this way...',
        'He said "Go!" It is 3.5 km, e.g.this way... Is it?',
        text,
    ]


def test_an_empty_line_ends_one_too() -> None:
    assert sentence_ends("A heading\n\nA text.") == [11, 18]


def test_pieces_without_a_word_are_not_counted() -> None:
    assert [count_sentences(text) for text in ("", "...", "One.", "One. Two? ... !", "One")] == [
        0, 0, 1, 2, 1,
    ]  # fmt: skip
