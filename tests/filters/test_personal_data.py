import json

import pytest

from gristmill import Recipe, run
from gristmill.filters.personal_data import PersonalData
from gristmill.pipelines import Drop
from gristmill.publishing import card

ROW = {"instruction": "Write to bob@corp.io or ann@corp.io.", "output": "Done, from 8.8.8.8."}
CLEAN = {"instruction": "Name a tree.", "output": "An oak.", "flags": None}


def test_a_row_leaves_with_kinds_and_places_but_without_the_data() -> None:
    out = PersonalData()(ROW)
    assert out == Drop(
        "personal_data", "email at instruction 9-20, email at instruction 24-35, ip at output 11-18"
    )
    assert PersonalData()(CLEAN) == {}


def test_a_masked_row_keeps_the_rest_of_its_texts() -> None:
    out = PersonalData(action="mask")({**ROW, "flags": ["old"]})
    assert out["instruction"] == "Write to [EMAIL] or [EMAIL]."
    assert out["output"] == "Done, from [IP]."
    assert (out["flags"], out["found"]) == (["old", "personal_data"], "email 2, ip 1")
    assert out["messages"] is None
    assert PersonalData(action="mask")(CLEAN) == {}


def test_a_flagged_row_stays_as_it_is() -> None:
    out = PersonalData(action="flag", kinds=["ip"])(ROW)
    assert out == {"flags": ["personal_data"], "found": "ip 1"}


def test_turns_and_what_stands_beside_them_are_masked_and_stay_json() -> None:
    call = json.dumps(
        {"tool_calls": [{"arguments": '{"to": "bob@corp.io"}', "card": 4111111111111111}]}
    )
    turn = {"role": "assistant", "content": None, "extra": call}
    out = PersonalData(action="mask")(
        {"messages": [{"role": "user", "content": "8.8.8.8", "extra": None}, turn]}
    )
    assert [t["content"] for t in out["messages"]] == ["[IP]", None]
    assert json.loads(out["messages"][1]["extra"]) == {
        "tool_calls": [{"arguments": '{"to": "[EMAIL]"}', "card": "[CARD]"}]
    }
    assert "email at messages.0" in PersonalData()({"messages": [turn]}).detail


@pytest.mark.parametrize("name", ["prompt", "chosen", "rejected", "input"])
def test_every_text_is_looked_at(name) -> None:
    assert PersonalData(action="mask")({name: "bob@corp.io"})[name] == "[EMAIL]"


def test_the_dataset_has_the_masked_texts_and_the_card_none_of_the_dropped(tmp_path) -> None:
    rows = [{k: v for k, v in row.items() if v} for row in (ROW, CLEAN)]
    for action, kept in (("mask", 2), ("drop", 1)):
        stages = f"[{{use: filters.personal_data, action: {action}}}]"
        recipe = Recipe.load("threshold", [f"stages={stages}", "seeds={}", f"name=p_{action}"])
        result = run(recipe, rows, {}, workspace=tmp_path)
        assert len(result.dataset) == kept
        assert "corp.io" not in str(result.dataset.to_pylist())
        text = card.write(result.path).read_text()
        assert "corp.io" not in text
        assert ("not shown" in text) == (action == "drop")
        assert "corp.io" not in (result.path / "report.html").read_text() or action == "mask"
