import pytest

from gristmill.engines.attending import Attended
from gristmill.errors import PromptRefused
from gristmill.scorers.context_dependency import ContextDependency

ROW = {"instruction": "Sum up.", "input": "A text.", "output": "It says so."}


@pytest.mark.parametrize(("value", "is_dependent"), [(0.61, True), (0.6, False), (0.1, False)])
def test_a_row_above_the_threshold_depends_on_its_context(ask, script, value, is_dependent) -> None:
    engine = script({"Sum up.\n\nA text.\nIt says so.": [Attended([value], 9, cut=False)]})
    found = ask(ContextDependency(), ROW, engine)
    assert found == {"score": value, "turns": [value], "is_dependent": is_dependent}


def test_the_turn_that_looks_most_decides(ask, script) -> None:
    said = [("user", "One?"), ("assistant", "first"), ("user", "Two?"), ("assistant", "second")]
    row = {"messages": [{"role": role, "content": content} for role, content in said]}
    engine = script({"first\nTwo?\nsecond": [Attended([0.7, None], 9, cut=True)]})
    found = ask(ContextDependency(threshold=0.8), row, engine)
    assert (found["score"], found["turns"], found["is_dependent"]) == (0.7, [0.7, None], False)
    assert found["flags"] == ["truncated"]


def test_what_cannot_be_read_is_null_and_says_why(ask, script) -> None:
    found = ask(ContextDependency(), {**ROW, "output": " "}, script({}))
    assert (found["score"], found["flags"]) == (None, ["empty_response"])
    found = ask(ContextDependency(), {"output": "It says so."}, script({}))
    assert (found["score"], found["flags"]) == (None, ["empty_prompt"])
    found = ask(ContextDependency(), ROW, script({"Sum": [PromptRefused("no")]}))
    assert (found["is_dependent"], found["flags"]) == (None, ["prompt_refused"])
