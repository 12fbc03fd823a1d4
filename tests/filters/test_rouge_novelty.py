import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from gristmill.filters.rouge_novelty import READ, RougeNovelty
from gristmill.text.rouge import rouge_l


def decided(*texts: str | None, **changes) -> list[dict]:
    table = pa.table(
        {
            "id": [f"r{i}" for i in range(len(texts))],
            changes.get("field", "instruction"): pa.array(texts, pa.string()),
            "messages": pa.nulls(len(texts)),
        }
    )
    return RougeNovelty(**changes).decide(table).to_pylist()


def test_a_row_with_the_words_of_an_earlier_one_leaves_and_names_it() -> None:
    # 7 of 10 and 10 words in common: 2 * 7 / 20 = 0.7, which is no longer new.
    first = "a b c d e f g h i j"
    out = decided(first, "a b c d e f g x y z", "a b c d e f w x y z")
    assert [line["keep"] for line in out] == [True, False, True]
    assert (out[1]["code"], out[1]["detail"]) == ("not_novel", "ROUGE-L 0.70 with r0")
    assert [line["rouge"] for line in out] == [None, 0.7, None]


def test_a_row_is_compared_with_rows_that_stay_only() -> None:
    out = decided("a b c d", "a b c x", "a b y x", threshold=0.75)
    assert [line["keep"] for line in out] == [True, False, True]


def test_case_and_marks_are_the_same_and_rows_without_words_stay() -> None:
    assert [line["keep"] for line in decided("Name a tree!", "name, a tree", None, "", "?!")] == [
        True, False, True, True, True,
    ]  # fmt: skip


def test_answers_are_compared_on_request() -> None:
    assert [line["keep"] for line in decided("An oak.", "an oak", field="output")] == [True, False]


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=8).map(" ".join), max_size=20))
def test_it_decides_as_the_paper_does_pair_by_pair(texts) -> None:
    pool: list[str] = []
    for line, text in zip(decided(*texts), texts, strict=True):
        new = all(rouge_l(text, other) < 0.7 for other in pool)
        assert line["keep"] == new
        if new:
            pool.append(text)


def test_what_earlier_rounds_accepted_was_there_before() -> None:
    # The worked case of Self-Instruct: eight seeds, and a task that is one of them again.
    def table(texts: list[str]) -> pa.Table:
        ids = [f"{len(texts)}-{i}" for i in range(len(texts))]
        return pa.table({"id": ids, "instruction": texts, "messages": pa.nulls(len(texts))})

    seeds = [f"a b {i} {i + 10} {i + 20} {i + 30}" for i in range(8)]
    stage = RougeNovelty(neighbours=10)
    new, copy = stage.decide(table(["c a b d", seeds[3]]), table(seeds)).to_pylist()
    assert (new["keep"], copy["keep"]) == (True, False)
    assert copy["detail"] == "ROUGE-L 1.00 with 8-3"
    assert len(new["most_similar"]) == 8
    assert new["most_similar"][0] == {"id": "8-0", "rouge": 2 * 2 / 10}
    assert round(new["avg_similarity"], 9) == 0.4
    assert [one["id"] for one in copy["most_similar"][:2]] == ["8-3", "2-0"]
    assert round(copy["avg_similarity"], 9) == round((1 + 7 * 4 / 12 + 4 / 10) / 9, 9)
    first = RougeNovelty().decide(table(["c a b d"]), table(seeds)).to_pylist()[0]
    assert (first["most_similar"], first["avg_similarity"]) == (None, None)


def test_an_instruction_of_another_dataset_is_not_new(published) -> None:
    texts = ["Name a tall tree.", "Name a fish in the river."]
    rows = pa.table({"id": ["a", "b"], "instruction": texts, "messages": pa.nulls(2)})
    found = RougeNovelty(against=(str(published),)).decide(rows)
    assert found["detail"].to_pylist() == ["ROUGE-L 0.86 with old-2 in published.jsonl", None]


def test_of_a_book_the_first_words_count() -> None:
    book = " ".join(map(str, range(READ)))
    assert [line["keep"] for line in decided(book, f"{book} and more " + "x " * 9000)] == [
        True,
        False,
    ]
