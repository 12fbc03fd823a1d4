from gristmill.text.few_shot import Form, halves

FORM = Form("Do it.", ("question", "answer"))


def test_a_prompt_is_the_exact_beginning_of_the_filled_text() -> None:
    shot, open_ = {"question": "a?", "answer": "b"}, {"question": "c?"}
    prompt = FORM.render([shot, open_])
    whole = FORM.render([shot, {**open_, "answer": "d"}])
    assert prompt.endswith("### Example 2\n<question>\nc?\n</question>\n<answer>\n")
    assert whole == prompt + "d\n</answer>\n"
    assert whole.startswith("Do it.\n\n### Example 1\n<question>\na?\n</question>\n<answer>\nb\n")


def test_the_answer_ends_at_its_tag_or_at_an_invented_example() -> None:
    assert FORM.stop == ("</answer>", "### Example")


def test_examples_are_halved_down_to_none() -> None:
    assert [list(halves(n)) for n in (0, 1, 7, 8)] == [[0], [1, 0], [7, 3, 1, 0], [8, 4, 2, 1, 0]]
