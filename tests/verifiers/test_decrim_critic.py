"""DeCRIM's critic against programs: on constraints that both can judge."""

import pytest

from gristmill.engines.requests import Completion
from gristmill.verifiers.decrim_critic import DecrimCritic

NO_COMMA = {"cid": "punctuation:no_comma", "params": {}}
TITLE = {"cid": "detectable_format:title", "params": {}}
ROW = {"instruction": "Name {trees}.", "output": "Oak, elm.", "constraints": [NO_COMMA, TITLE]}
COMMA, HEAD = "Constraint\nDo not use a comma.", "Constraint\nGive it a title"


def test_the_critic_is_asked_what_a_program_knows(ask, script) -> None:
    engine = script({COMMA: ["No. There is one."], HEAD: ["yes, it has"]})
    assert ask(DecrimCritic(of="constraints"), ROW, engine) == {
        "passed": False, "by_critic": [False, True], "by_program": [False, False],
        "n_unparsed": 0,
    }  # fmt: skip
    heads = {call.prompt[0]["content"].partition("### Constraint")[0] for call in engine.calls}
    assert len(heads) == 1, "what is before the constraint is shared"


@pytest.mark.parametrize("reply", ["Perhaps.", " ", Completion("No, th", "length", 9, 3)])
def test_a_critic_that_cannot_be_read_is_counted(ask, script, reply) -> None:
    engine = script({COMMA: [reply], HEAD: ["No."]})
    found = ask(DecrimCritic(of="constraints"), ROW, engine)
    assert (found["by_critic"], found["by_program"], found["n_unparsed"]) == ([False], [False], 1)
    assert found["passed"] is True


@pytest.mark.parametrize("given", [[], None, "[", [{"cid": "punctuation:no_coma", "params": {}}]])
def test_where_no_program_knows_nobody_is_asked(ask, script, given) -> None:
    found = ask(DecrimCritic(of="constraints"), {**ROW, "constraints": given}, script({}))
    assert (found["passed"], found["by_critic"]) == (None, [])
    assert ask(DecrimCritic(), ROW, script({}))["passed"] is None
