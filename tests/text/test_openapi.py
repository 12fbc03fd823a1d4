"""API descriptions as functions: 2.0 to 3.1, references, bodies, names, and hostile documents."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.text.json_values import made, problem
from gristmill.text.openapi import NotOpenApi, endpoints, function, function_name
from gristmill.text.simulated_api import Api, World

DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere")) / "openapi"
COUNTS = {
    "link-example": 6, "petstore-expanded": 4, "tictactoe": 3, "uber": 5, "uspto": 3,
    "bufferapp": 18, "healthcare_gov": 16, "stride": 23, "xkcd": 2, "yelp": 6,
}  # fmt: skip


def of(paths, **more):
    return endpoints({"openapi": "3.1.0", "info": {"title": "Pet Shop"}, "paths": paths, **more})


def test_parameters_and_body_stand_side_by_side_with_their_references_written_out() -> None:
    pet = {
        "allOf": [
            {"$ref": "#/components/schemas/Named"},
            {"properties": {"age": {"type": "integer"}}},
        ]
    }
    named = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    body = {"required": True, "content": {"application/json": {"schema": pet}}}
    shared = [{"name": "shop", "in": "path", "required": True, "schema": {"type": "integer"}}]
    told = [
        {"$ref": "#/components/parameters/dry~1run"},
        {"name": "Authorization", "in": "header", "required": True, "schema": {"type": "string"}},
    ]
    post = {"operationId": "addPet", "parameters": told, "requestBody": body}
    dry = {"name": "dry", "in": "query", "schema": {"type": ["boolean", "null"]}}
    (one,) = of(
        {"/shops/{shop}/pets": {"parameters": shared, "post": post}},
        components={"schemas": {"Named": named}, "parameters": {"dry/run": dry}},
    )
    assert one["parameters"] == {
        "type": "object",
        "properties": {
            "shop": {"type": "integer"},
            "dry": {"type": ["boolean", "null"]},
            "name": {"type": "string"},
            "age": {"type": "integer"},
        },
        "required": ["shop", "name"],
        "additionalProperties": False,
    }
    assert function(one)["function"]["name"] == "add_pet_for_pet_shop"


def test_a_body_that_is_no_object_or_has_a_name_twice_is_one_argument() -> None:
    for schema in ({"type": "string"}, {"properties": {"id": {"type": "string"}}}):
        put = {"requestBody": {"content": {"text/plain": {"schema": schema}}}}
        (one,) = of({"/pets/{id}": {"put": put}})
        assert [*one["parameters"]["properties"]] == ["id", "body"]
        assert one["parameters"]["required"] == ["id"], "an undeclared placeholder is required"


def test_swagger_and_older_drafts_become_one_dialect() -> None:
    told = [
        {"name": "n", "in": "query", "type": "number", "minimum": 0, "exclusiveMinimum": True},
        {"name": "photo", "in": "formData", "type": "file", "required": True},
        {"name": "x", "in": "query", "schema": {"type": "string", "nullable": True, "const": "a"}},
    ]
    (one,) = of({"/a/:key": {"get": {"parameters": told}}})
    assert one["parameters"]["properties"] == {
        "n": {"type": "number", "exclusiveMinimum": 0},
        "photo": {"type": "string"},
        "x": {"type": ["string", "null"], "enum": ["a"]},
        "key": {"type": "string"},
    }


def test_names_are_safe_unique_and_end_with_the_tool() -> None:
    assert function_name("Get Tracking Data", "Create Container Tracking") == (
        "get_tracking_data_for_create_container_tracking"
    )
    long = function_name("x" * 99, "tool")
    assert len(long) == 64
    assert long.endswith("x_for_tool")
    assert function_name("3d", "Tool") == "get_3d_for_tool"
    same = of({"/a": {"get": {"operationId": "same"}, "post": {"operationId": "Same"}}})
    assert [one["name"] for one in same] == ["same_for_pet_shop", "same_for_pet_shop_2"]


def test_references_without_end_or_aim_end() -> None:
    tree = {"properties": {"left": {"$ref": "#/T"}, "right": {"$ref": "#/T"}}}
    answers = {"200": {"content": {"application/json": {"schema": {"$ref": "#/T"}}}}}
    loop = {"name": "a", "in": "query", "schema": {"$ref": "#/L"}}
    (one,) = of(
        {"/t": {"get": {"responses": answers, "parameters": [loop]}}}, T=tree, L={"$ref": "#/L"}
    )
    assert one["returns"]["properties"]["left"]["properties"]["right"]["type"] == "object"
    assert one["parameters"]["properties"]["a"] == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from([
        "get", "parameters", "schema", "type", "properties", "items", "$ref", "in", "name", "anyOf",
        "enum", "allOf", "responses", "200", "content", "minimum", "required", "requestBody", "/a",
    ]), inner | st.sampled_from(["#/paths", "path", "query", "object", "integer", "body"])),
    max_leaves=25,
)  # fmt: skip


@settings(max_examples=12)
@given(JSON)
def test_no_document_breaks_it_and_what_comes_out_can_be_called(document) -> None:
    paths = {"/a/{x}": {"get": document, "post": {"parameters": [document], "responses": document}}}
    try:
        found = endpoints({"paths": paths})
    except NotOpenApi:
        return
    world = World(Api(world=0, endpoints=found))
    for one in found:
        json.dumps(world.call(one["name"], made(one["parameters"], "key")))


@pytest.mark.parametrize("document", [None, [], "paths", {"paths": []}, {"paths": {"/a": {}}}])
def test_what_is_no_description_is_said(document) -> None:
    with pytest.raises(NotOpenApi):
        endpoints(document)


@pytest.mark.skipif(not DATA.exists(), reason="GRISTMILL_DATA is not set")
@pytest.mark.parametrize("name", COUNTS)
def test_a_real_description_gives_every_operation_and_answers_that_fit(name) -> None:
    (file,) = DATA.glob(f"*/{name}.json")
    found = endpoints(json.loads(file.read_text()))
    assert len(found) == COUNTS[name] == len({one["name"] for one in found})
    world = World(Api(world=3, endpoints=found))
    for one in found:
        arguments = made(one["parameters"], "some")
        assert problem(one["parameters"], arguments) is None
        got = world.call(one["name"], arguments)
        assert got["code"] in (0, 6), got
        if got["code"] == 0 and one["returns"] and got["status"] != 204:
            assert problem(one["returns"], got["body"]) is None


@pytest.mark.skipif(not DATA.exists(), reason="GRISTMILL_DATA is not set")
def test_toolbench_names_its_functions_alike() -> None:
    names = set[str]()
    for file in (DATA.parent / "toolbench" / "answer").glob("*/*.json"):
        told = json.loads(file.read_text())["answer_generation"]["function"]
        names |= {one["name"] for one in told} - {"Finish"}
    assert len(names) == 54
    assert {function_name(*name.split("_for_", 1)) for name in names} == names
