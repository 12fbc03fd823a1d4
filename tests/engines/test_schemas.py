"""Shapes of replies: what is sent, and what is read whatever an engine made of it."""

import json

import pytest
from pydantic import BaseModel, Field

from gristmill.engines.requests import Generate, Sampling
from gristmill.engines.schemas import read, repaired, response_format, unwrapped, written
from gristmill.storage.ids import digest


class Person(BaseModel):
    name: str
    age: int = Field(ge=0)


def test_a_model_is_its_json_schema_with_the_keys_in_their_order() -> None:
    assert list(json.loads(written(Person))["properties"]) == ["name", "age"]
    assert written({"type": "object"}) == '{"type": "object"}'
    assert written(("yes", "no")) == '["yes", "no"]'
    assert written(None) == ""


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Ann", "age": 3}',
        'Here it is:\n```json\n{"name": "Ann", "age": 3}\n```',
        '{"name": "Ann", "age": 3} {"name": "Bob", "age": 4}',
        '<think>{name: ...}</think> \\frac{1}{2} {"name": "Ann", "age": 3}',
    ],
)
def test_the_first_object_is_read_whatever_stands_around_it(text: str) -> None:
    assert read(text, Person) == Person(name="Ann", age=3)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('{"name": "Ann", "age": -1}', "age: Input should be greater than or equal to 0, found -1"),
        ('{"name": "Ann"}', "'age' is missing"),
        ('{"name": "Ann", "age": 3', "Invalid JSON"),
        ("I cannot say.", "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ("{" * 100_000, "Invalid JSON"),
        ('{"name": "\ud800', "Invalid JSON"),
        ("", "Invalid JSON"),
    ],
)
def test_what_does_not_fit_says_why(text: str, wrong: str) -> None:
    said = read(text, Person)
    assert isinstance(said, str)
    assert wrong in said
    assert len(said) < 400


def test_a_repair_shows_the_reply_and_its_mistakes() -> None:
    first, said, again = repaired([{"role": "user", "content": "Who?"}], "Ann", "'age' is missing")
    assert (first["content"], said) == ("Who?", {"role": "assistant", "content": "Ann"})
    assert again["role"] == "user"
    assert "'age' is missing" in again["content"]
    text = repaired("Who? ", "Ann", "'age' is missing")
    assert isinstance(text, str)
    assert text.startswith("Who? Ann\n")


def test_a_choice_is_an_object_for_a_server_and_a_text_for_a_stage() -> None:
    told = response_format('["yes", "no"]')["json_schema"]
    schema = told["schema"]
    assert (told["strict"], schema["additionalProperties"]) == (True, False)
    assert schema["properties"]["choice"]["enum"] == ["yes", "no"]
    assert schema["required"] == ["choice"]
    assert unwrapped('{"choice": "no"}', '["yes", "no"]') == "no"
    assert unwrapped("no", '["yes", "no"]') == "no"
    assert unwrapped('{"choice": "no"}', '{"type": "object"}') == '{"choice": "no"}'
    assert unwrapped('{"choice": "no"}', "") == '{"choice": "no"}'


def test_a_server_that_is_strict_is_not_asked_to_be_about_an_open_object() -> None:
    told = response_format(written(Person))["json_schema"]
    assert (told["strict"], told["schema"]) == (False, Person.model_json_schema())


def test_a_schema_names_another_answer_and_none_names_the_one_it_always_did() -> None:
    how, bare = Sampling(0.5), Generate("a", Sampling(0.5), 7)
    assert bare.key("x") == digest("x", "generate", "a", [0.5, how.top_p, how.max_tokens, ()], 7)
    shaped = Generate("a", how, 7, written(Person))
    assert len({bare.key("x"), shaped.key("x"), Generate("a", how, 7, "{}").key("x")}) == 3
