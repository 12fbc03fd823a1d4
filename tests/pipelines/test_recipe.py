from pathlib import Path

import pytest
from pydantic import ValidationError

from gristmill.errors import RecipeError
from gristmill.formats.readers import SeedSpec
from gristmill.formats.recipe_files import find, shipped
from gristmill.pipelines.recipe import Recipe

TEXT = "name: mine\nseeds: {path: a.jsonl, map: {x: y}}\nstages: [{use: filters.length}]\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    return path


def test_sets_and_seeds_change_a_recipe(path) -> None:
    recipe = Recipe.load(path, ["stages.-1.min_chars=3"], "b.csv", {"output": "answer"})
    assert recipe.stages == [{"use": "filters.length", "min_chars": 3}]
    assert recipe.seeds == SeedSpec(path="b.csv", map={"x": "y", "output": "answer"})
    assert recipe.model_dump()["seeds"] == {"path": "b.csv", "map": recipe.seeds.map}


def test_several_inputs_are_a_list(path) -> None:
    assert Recipe.load(path, (), ["b.csv", "hub:a/b"]).seeds.path == ["b.csv", "hub:a/b"]


def test_every_shipped_recipe_loads_by_its_name() -> None:
    for name, file in shipped().items():
        assert find(name) == file
        assert Recipe.load(name).name == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "found list"),
        ("", "found NoneType"),
        ("just words", "found str"),
        (TEXT + "tarqet: 3\n", "there is no 'tarqet'; did you mean ['target']?"),
        (TEXT.replace("mine", "Mine!"), "name: "),
        (TEXT + "target: many\n", "target: Input should be a valid integer"),
        (TEXT + "target: 0\n", "found 0"),
        ("name: mine\nstages: []\n", "stages: "),
        ("seeds: a.json\n", "seeds: write it as `seeds: {path: rows.jsonl}`, found 'a.json'"),
        ("engines: {a: vllm}\n", "engines.a: write it as `engines: {ROLE: {use: vllm,"),
        ("stages: [filters.length]\n", "stages.0: write it as `stages: [{use: filters.length}]`"),
        ("seeds: {use: fils}\n", "seeds.use: Input should be 'files', 'python_functions', "),
        ("seeds: {pth: a.json}\n", "there is no 'seeds.pth'; did you mean ['path']?"),
    ],
)
def test_a_bad_recipe_says_where_and_what(tmp_path, text, message) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        Recipe.load(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_seeds_that_are_none_are_refused_with_an_input_too(tmp_path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: mine\nseeds: a.json\nstages: [{use: filters.length}]\n")
    with pytest.raises(RecipeError, match=r"bad.yaml: seeds: write it as"):
        Recipe.load(path, (), "b.csv")


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
def test_a_seed_has_at_most_64_bits(seed: int) -> None:
    with pytest.raises(ValidationError, match="seed"):
        Recipe(name="mine", seed=seed, stages=[{"use": "filters.length"}])


def test_a_secret_under_a_mistyped_key_is_not_shown(path) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.load(path, ["api_key=sk-123"])
    assert "sk-123" not in str(caught.value)


def test_a_recipe_must_be_utf8(tmp_path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(TEXT.encode() + b"# caf\xe9\n")
    with pytest.raises(RecipeError, match="not UTF-8"):
        Recipe.load(path)


def test_a_byte_order_mark_is_no_mistake(tmp_path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert Recipe.load(path).name == "mine"


def test_a_missing_recipe_names_the_shipped_ones(tmp_path) -> None:
    with pytest.raises(RecipeError, match="neither a file nor a shipped recipe"):
        Recipe.load(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match="is a folder"):
        Recipe.load(tmp_path)
