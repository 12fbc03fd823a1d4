"""The simulated API: what was said stays said, errors are errors, and the same is the same."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.text.json_values import made, problem
from gristmill.text.openapi import endpoints
from gristmill.text.simulated_api import Api, Call, World, replay

PET = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "kind": {"type": "string", "enum": ["cat", "dog"]},
    },
}
NEW = {"type": "object", "required": ["name"], "properties": {**PET["properties"]}}


def answer(schema, status="200"):
    return {status: {"content": {"application/json": {"schema": schema}}}}


def parameter(name, kind, where="query"):
    return {"name": name, "in": where, "schema": {"type": kind}}


BODY = {"required": True, "content": {"application/json": {"schema": NEW}}}
ID = {"parameters": [parameter("id", "integer", "path")]}
LIST = [parameter("kind", "string"), parameter("limit", "integer")]
PETS = {"type": "object", "properties": {"pets": {"type": "array", "items": PET}}}
PATHS = {
    "/pets": {
        "get": {"operationId": "list", "parameters": LIST, "responses": answer(PETS)},
        "post": {"operationId": "add", "requestBody": BODY, "responses": answer(PET, "201")},
    },
    "/pets/{id}": {
        **ID,
        "get": {"operationId": "show", "responses": answer(PET)},
        "patch": {
            "operationId": "change",
            "requestBody": {"content": {"application/json": {"schema": {
                "properties": {"name": {"type": "string"}}}}}},
            "responses": answer(PET),
        },
        "delete": {"operationId": "drop", "responses": {"204": {}}},
    },
    "/pets/{id}/feed": {**ID, "post": {"operationId": "feed", "responses": answer(PET)}},
    "/weather/{city}": {
        "get": {
            "operationId": "weather",
            "parameters": [parameter("day", "string")],
            "responses": answer(
                {"properties": {"city": {"type": "string"}, "rain": {"type": "number"}}}
            ),
        }
    },
    "/me": {
        "get": {"operationId": "me", "responses": answer(PET)},
        "put": {"operationId": "rename", "requestBody": BODY, "responses": answer(PET)},
    },
}  # fmt: skip
API = Api(world=0, endpoints=endpoints({"info": {"title": "t"}, "paths": PATHS}))


def said(*calls, world=0):
    """Return status and body of every call."""
    made_of = [Call(name=f"{name}_for_t", arguments=arguments) for name, arguments in calls]
    return [(one["status"], one["body"]) for one in replay({**API, "world": world}, made_of)]


def test_an_item_is_made_shown_changed_listed_and_taken_away() -> None:
    first, new = said(("list", {}), ("add", {"name": "Rex", "kind": "dog"}))
    assert [len(first[1]["pets"]), new[0], new[1]["name"]] == [3, 201, "Rex"]
    id_ = new[1]["id"]
    found = said(
        ("add", {"name": "Rex", "kind": "dog"}),
        ("show", {"id": id_}),
        ("change", {"id": id_, "name": "Max"}),
        ("show", {"id": id_}),
        ("list", {}),
        ("drop", {"id": id_}),
        ("show", {"id": id_}),
        ("list", {}),
    )
    assert found[1] == (200, new[1])
    assert found[3] == (200, {**new[1], "name": "Max"}) == found[2]
    assert found[4][1]["pets"] == [*first[1]["pets"], {**new[1], "name": "Max"}]
    assert found[5:] == [(204, None), (404, {"error": f"/pets/{id_} was not found"}), first]


def test_what_is_listed_can_be_shown_and_nothing_else() -> None:
    ((_, found),) = said(("list", {}))
    for pet in found["pets"]:
        assert said(("show", {"id": pet["id"]}), ("feed", {"id": pet["id"]}))[0] == (200, pet)
    lost = max(pet["id"] for pet in found["pets"]) + 1
    for name in ("show", "feed", "drop", "change"):
        assert said((name, {"id": lost})) == [(404, {"error": f"/pets/{lost} was not found"})]


def test_a_list_is_cut_and_filtered_by_what_items_have() -> None:
    new = ("add", {"name": "Rex", "kind": "dog"})
    every, dogs, two = said(new, ("list", {}), ("list", {"kind": "DOG"}), ("list", {"limit": 2}))[
        1:
    ]
    pets = every[1]["pets"]
    assert dogs[1]["pets"] == [pet for pet in pets if pet["kind"] == "dog"]
    assert 0 < len(dogs[1]["pets"]) < 4
    assert two[1]["pets"] == pets[:2]


@pytest.mark.parametrize(
    ("name", "arguments", "status", "error"),
    [
        ("steal", {}, 404, "there is no function 'steal_for_t'"),
        ("show", {}, 400, "arguments lacks id"),
        ("show", {"id": "7"}, 400, 'arguments.id must be integer, found "7"'),
        ("show", {"id": True}, 400, "arguments.id must be integer, found true"),
        ("show", {"id": 7, "x": 1}, 400, "arguments has x, but only id may be there"),
        ("add", {"name": "", "kind": 1}, 400, "arguments.kind must be string, found 1"),
        ("list", {"kind": None}, 400, "arguments.kind must be string, found null"),
        ("show", [7], 400, "arguments must be object, found [7]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_changes_nothing(name, arguments, status, error) -> None:
    before, got, after = said(("list", {}), (name, arguments), ("list", {}))
    assert got == (status, {"error": error})
    assert before == after


def test_items_that_are_nowhere_listed_exist_and_equal_arguments_give_equal_answers() -> None:
    one, again, other, day = said(
        ("weather", {"city": "Ulm"}),
        ("weather", {"city": "Ulm"}),
        ("weather", {"city": "Rom"}),
        ("weather", {"city": "Ulm", "day": "today"}),
    )
    assert one == again
    assert one[1]["city"] == "Ulm"
    assert len({body["rain"] for _, body in (one, other, day)}) == 3
    assert said(("weather", {"city": "Ulm"}), world=1) != [one]


def test_what_there_is_one_of_stays_as_it_was_put() -> None:
    before, changed, after = said(("me", {}), ("rename", {"name": "Ann"}), ("me", {}))
    assert after == changed == (200, {**before[1], "name": "Ann"})


def test_two_apis_that_have_a_path_in_common_share_nothing() -> None:
    other = endpoints({"info": {"title": "u"}, "paths": PATHS})
    both = Api(world=0, endpoints=[*API["endpoints"], *other])
    calls = [("add_for_t", {"name": "Rex"}), ("list_for_u", {}), ("list_for_t", {"limit": 9.0})]
    made = [Call(name=name, arguments=arguments) for name, arguments in calls]
    _, theirs, ours = (one["body"] for one in replay(both, made))
    assert [len(theirs["pets"]), len(ours["pets"])] == [3, 4]
    assert [pet["id"] for pet in theirs["pets"]] != [pet["id"] for pet in ours["pets"]][:3]


def test_a_name_with_a_slash_is_one_segment() -> None:
    assert said(("weather", {"city": "a/b\ud800"}))[0][1]["city"] == "a/b\ud800"


SCHEMAS = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"type": st.sampled_from(["string", "boolean", "null"])}),
        st.builds(
            lambda least, width: {"type": "integer", "minimum": least, "maximum": least + width},
            st.integers(-9, 9), st.integers(0, 9),
        ),
        st.builds(
            lambda least: {"type": "number", "exclusiveMinimum": least},
            st.integers(-9, 9) | st.floats(-9, 9),
        ),
        st.builds(
            lambda least, more: {"type": "string", "minLength": least, "maxLength": least + more},
            st.integers(0, 30), st.integers(0, 30),
        ),
        st.builds(lambda one: {"enum": [one, 2]}, st.integers(0, 3) | st.booleans()),
        st.just({"type": ["null", "integer"]}),
        st.just({}),
    ),
    lambda inner: st.one_of(
        st.builds(
            lambda one, least: {"type": "array", "items": one, "minItems": least},
            inner, st.integers(0, 3),
        ),
        st.builds(lambda all_: {"anyOf": all_}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(
            lambda inside: {"type": "object", "properties": inside, "required": [*inside][:1],
                            "additionalProperties": False},
            st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        ),
    ),
    max_leaves=4,
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=4,
)


@settings(max_examples=30)
@given(SCHEMAS, VALUES, st.text(max_size=3))
def test_a_made_value_fits_and_others_fit_as_the_standard_says(schema, value, key) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    standard = jsonschema.Draft202012Validator(schema)
    own = made(schema, key)
    assert problem(schema, own) is None
    assert standard.is_valid(own)
    assert (problem(schema, value) is None) == standard.is_valid(value)


def test_a_world_answers_with_json_whatever_it_is_told() -> None:
    @settings(max_examples=12)
    @given(st.sampled_from([*World(API).endpoints, "x"]), VALUES)
    def told(name: str, value: object) -> None:
        json.dumps(World(API).call(name, value))

    told()
