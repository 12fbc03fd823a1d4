"""What stands between the parts of a method's prompt, and how an evolution shows that it failed."""

import pytest

from gristmill.text.evolving_plans import METHOD, marks
from gristmill.text.leaks import leak


@pytest.mark.parametrize("method", [METHOD, "### Final version\nMake it harder."])
def test_the_place_of_the_instruction_is_a_mark_of_every_method(method) -> None:
    assert {"{instruction}", "Instruction"} <= marks(method)
    assert leak("Summarise {instruction} in French.", marks(method))
    assert leak("Final version of {a} map: name its rivers.", marks(METHOD)) is None
