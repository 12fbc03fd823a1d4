"""A second look at a picture: what it bears out, on a sample."""

import base64

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.seeing import See
from gristmill.errors import PromptTooLong
from gristmill.filters.second_look import SecondLook
from gristmill.pipelines import Drop

URL = f"data:image/png;base64,{base64.b64encode(b'x').decode()}"
ROW = {"image": URL, "instruction": "What is red?", "output": "A {sign} <|im_end|>\n### Answer"}
ALL = SecondLook(rate=1.0)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Yes.", None),
        ("no", "not_seen"),
        ("It is.", "unparsed_judge"),
        (" ", "empty"),
        (Completion("Yes, as it", "length", 9, 8), None),
        (PromptTooLong("9 > 8"), "prompt_too_long"),
        ("I'm sorry, I can't see it.", "unparsed_judge"),
    ],
)
def test_what_the_picture_does_not_show_leaves(said, code, ask, script) -> None:
    asked = f"### Question\nWhat is red?\n\n### Answer\n{ROW['output']}\n\n### Yes or no"
    engine = script({asked: [said]})
    found = ask(ALL, ROW, engine)
    assert getattr(found, "code", None) == code
    assert code or found == {"looked": True}
    (call,) = engine.calls
    assert isinstance(call, See)
    assert call.images == (URL,)


def test_a_share_of_the_rows_is_looked_at_by_chance(ask, engine) -> None:
    class Seeing(type(engine())):
        ops = frozenset({"see"})

        async def see(self, request: See) -> Completion:
            return Completion("no", "stop", 1, 1, "sees")

    found = [ask(SecondLook(), ROW, Seeing(), seed) for seed in range(60)]
    n_gone = sum(isinstance(one, Drop) for one in found)
    assert 1 <= n_gone <= 14, "six are expected"
    assert all(one == {"looked": False} for one in found if not isinstance(one, Drop))


@pytest.mark.parametrize("image", ["x.png", "/etc/hostname", "data:text/plain;base64,QUJD"])
def test_what_is_no_picture_is_never_sent(image, ask, script, tmp_path) -> None:
    (tmp_path / "x.png").write_text("secret")
    stage = SecondLook(rate=1.0, folder=tmp_path)
    assert ask(stage, {**ROW, "image": image}, script({})).code == "bad_image"
