"""Seeds from API descriptions: JSON and YAML, what is no API, and YAML that is a bomb."""

import json
import os
from pathlib import Path

import pytest

from gristmill.errors import InputError
from gristmill.formats.api_collections import Apis
from gristmill.formats.api_files import apis_of
from gristmill.formats.readers import SeedSpec, read
from gristmill.text.json_values import made
from gristmill.text.simulated_api import Call, replay
from gristmill.text.tool_calls import documented

DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere")) / "openapi"
YAML = """openapi: 3.0.0
info: {title: Dice, description: "Rolls\\n dice.", license: {name: MIT}}
paths:
  /roll/{sides}:
    get:
      operationId: roll
      parameters:
      - {name: sides, in: path, required: true, schema: {type: integer}}
      responses:
        200:
          content: {application/json: {schema: {properties: {sides: {type: integer}}}}}
"""
BOMB = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefghijklm", "bcdefghijklmn", strict=True)
)


def test_a_file_is_a_row_that_can_be_called(tmp_path) -> None:
    folder = tmp_path / "games"
    folder.mkdir()
    (folder / "dice.yaml").write_text(YAML)
    (folder / "other.json").write_text('{"a": 1}')
    (folder / "bomb.yml").write_text(BOMB)
    seeds = read(SeedSpec(use="openapi", path=str(tmp_path)))
    (row,) = seeds.rows
    assert (row["tool"], row["about"], row["category"]) == ("Dice", "Rolls dice.", "games")
    assert (row["license"], row["source"]) == ("MIT", "games/dice.yaml")
    (got,) = replay(json.loads(row["api"]), [Call(name="roll_for_dice", arguments={"sides": 6})])
    assert got == {"code": 0, "status": 200, "body": {"sides": 6}}
    assert [bad.file for bad in seeds.malformed] == ["games/bomb.yml", "games/other.json"]
    assert seeds.notes[0] == "APIs in 1 of 3 files: 1 operation"
    assert "recipe" not in seeds.notes[1]
    digest = apis_of([str(tmp_path)])[1]
    (folder / "dice.yaml").write_text(YAML.replace("Dice", "Die"))
    assert apis_of([str(tmp_path)])[1] != digest


def test_a_category_is_what_the_catalogue_of_apis_says(tmp_path) -> None:
    info = {"title": "T", "x-apisguru-categories": ["media", "text"]}
    told = {"swagger": "2.0", "info": info, "paths": {"/a": {"get": {}}}}
    (tmp_path / "t.json").write_text(json.dumps(told))
    (row,) = Apis(apis=str(tmp_path)).collection()
    assert row["category"] == "media"
    with pytest.raises(InputError, match="expected other"):
        Apis(apis=str(tmp_path), pin="other")
    assert Apis().collection() == []


def test_no_api_at_all_is_an_error(tmp_path) -> None:
    (tmp_path / "t.json").write_text("[]")
    with pytest.raises(InputError, match="expected an object with `paths`"):
        read(SeedSpec(use="openapi", path=str(tmp_path)))
    with pytest.raises(InputError, match=r"no file under .* describes an API"):
        Apis(apis=str(tmp_path))


@pytest.mark.skipif(not DATA.exists(), reason="GRISTMILL_DATA is not set")
def test_all_real_descriptions_are_read() -> None:
    seeds = read(SeedSpec(use="openapi", path=str(DATA)))
    assert (len(seeds.rows), seeds.malformed) == (10, [])
    assert seeds.notes == ["APIs in 10 of 10 files: 86 operations"]
    assert {row["category"] for row in seeds.rows} == {"examples", "real"}


RECORD = {
    "tool_name": "Dice", "api_name": "Roll Many", "category_name": "Games", "method": "GET",
    "tool_description": "Rolls  dice.\nFair ones. " * 40,
    "api_description": "Rolls.",
    "required_parameters": [
        {"name": "n", "type": "NUMBER", "description": "How many", "default": 6},
    ],
    "optional_parameters": [
        {"name": "loud", "type": "boolean", "default": "yes"},
        {"name": "at", "type": "DATE", "default": ""}, 3,
    ],
    "template_response": {"rolls": [{"face": "int", "_list_length": 3}], "by": "NoneType"},
}  # fmt: skip


def coins_of(row):
    return json.loads(row["api"])["endpoints"][0]


def test_records_of_toolbench_are_a_row_for_each_tool(tmp_path) -> None:
    other = {"tool_name": "Coins", "api_name": "Flip", "required_parameters": "none"}
    requests = [{"query": "a", "api_list": [RECORD, other]}, {"query": "b", "api_list": [RECORD]}]
    (tmp_path / "requests.json").write_text(json.dumps(requests))
    dice, coins = read(SeedSpec(use="openapi", path=str(tmp_path))).rows
    assert (dice["tool"], dice["category"], dice["endpoints"]) == ("Dice", "Games", 1)
    assert (coins["tool"], coins["endpoints"]) == ("Coins", 1)
    (one,) = json.loads(dice["api"])["endpoints"]
    assert one["name"] == "roll_many_for_dice"
    kinds = {name: told["type"] for name, told in one["parameters"]["properties"].items()}
    assert kinds == {"n": "integer", "loud": "boolean", "at": "string"}
    assert one["parameters"]["required"] == ["n"]
    defaults = [told.get("default") for told in one["parameters"]["properties"].values()]
    assert defaults == [6, None, None], "one of another type is none"
    assert one["about"] == dice["about"] == ("Rolls dice. Fair ones. " * 40)[:512]
    (head, first), (alone,) = (documented(each).split("\n") for each in ([one], [coins_of(coins)]))
    assert (head, first[:28]) == (f"Dice: {one['about']}", '{"name": "roll_many_for_dice')
    assert alone.startswith('{"name": "flip_for_coins"')
    calls = [Call(name=one["name"], arguments=given) for given in ({"n": 2}, {"n": "2"})]
    good, bad = replay(json.loads(dice["api"]), calls)
    assert (good["code"], bad["code"]) == (0, 2)
    assert isinstance(good["body"]["rolls"][0]["face"], int)
    assert good["body"]["by"] is None
    assert set(good["body"]["rolls"][0]) == {"face"}


@pytest.mark.skipif(not DATA.is_dir(), reason="GRISTMILL_DATA is not set")
def test_toolbenchs_own_requests_are_apis_that_can_be_called() -> None:
    seeds = read(SeedSpec(use="openapi", path=str(DATA.parent / "toolbench" / "instruction")))
    n_calls = 0
    for row in seeds.rows:
        api = json.loads(row["api"])
        for one in api["endpoints"]:
            asked = one["parameters"]
            given = {name: made(asked["properties"][name], "x") for name in asked["required"]}
            (got,) = replay(api, [Call(name=one["name"], arguments=given)])
            assert got["code"] == 0, one
            n_calls += 1
    assert (len(seeds.rows), n_calls) == (11, 33)
