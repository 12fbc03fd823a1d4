"""The shipped recipe: what it does before it writes anything."""

import json

import pytest

from gristmill import Recipe, run
from gristmill.engines.sandbox import Sandbox
from gristmill.errors import RequirementError
from gristmill.formats.benchmarks import add

LEFT = '''def bisect_left(values, x):
    """Return where to insert x, before equal values."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if values[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low
'''
RIGHT = LEFT.replace("left", "right").replace("before", "behind").replace("] <", "] <=")
ADD = 'def add(a, b):\n    """Return the sum of a and b."""\n    return a + b\n'


def test_near_duplicates_of_a_seed_are_never_sent_to_the_model(tmp_path) -> None:
    (tmp_path / "code.py").write_text(f"{LEFT}\n\n{ADD}\n\n{RIGHT}")
    recipe = Recipe.load("self_code_align", input=str(tmp_path / "code.py"))
    first = [stage["use"] for stage in recipe.stages[:5]]
    assert first[0] == "filters.near_duplicates"
    assert first[4] == "generators.self_code_align"
    only = recipe.model_copy(update={"stages": recipe.stages[:1], "engines": {}})
    result = run(only, workspace=tmp_path)
    # 46 and 47 runs of five words, 33 of them shared: 33 / 60, above the paper's 0.5.
    assert result.ledger[0]["codes"] == {"near_duplicate": 1}
    names = {row["name"] for row in result.dataset.to_pylist()}
    assert len(names) == 2
    assert "add" in names


def test_what_a_benchmark_solves_is_no_seed_and_no_row(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.py").write_text(f"{LEFT}\n\n{ADD}")
    (tmp_path / "own.jsonl").write_text(
        json.dumps({"task_id": "own/1", "text": "Bisect it.", "code": LEFT})
    )
    add(tmp_path / ".gristmill" / "benchmarks.json", "own", "own.jsonl", {})
    recipe = Recipe.load("self_code_align", input=str(tmp_path / "code.py"))
    clean, late = (one for one in recipe.stages if one["use"] == "filters.contamination")
    only = recipe.model_copy(update={"stages": [clean], "engines": {}})
    result = run(only, workspace=tmp_path)
    assert result.ledger[0]["codes"] == {"contaminated": 1}
    assert [row["name"] for row in result.dataset.to_pylist()] == ["add"]
    rows = [
        {"instruction": "Bisect.", "output": f"```python\n{LEFT}\n```"},
        {"instruction": "Add.", "output": ADD},
    ]
    result = run(only.model_copy(update={"stages": [late]}), rows, workspace=tmp_path)
    assert [row["output"] for row in result.dataset.to_pylist()] == [ADD]


FUNCTION = 'def f{i}({x}){to}:\n    """Return x."""\n    return {value}\n'


@pytest.mark.slow
def test_only_seeds_whose_types_are_right_reach_the_judge(tmp_path) -> None:
    sandbox = Sandbox(1)
    try:
        sandbox.run_all([])
    except RequirementError as error:
        pytest.skip(f"no isolation here: {error}")
    recipe = Recipe.load("self_code_align")
    uses = [stage["use"] for stage in recipe.stages[:4]]
    assert uses[2:] == ["filters.code_rules", "filters.self_code_align_judge"]
    only = recipe.model_copy(update={"stages": recipe.stages[2:3], "engines": {}})
    right = [
        FUNCTION.format(i=1, x="x", to="", value="x  # for what is not implemented"),
        FUNCTION.format(i=2, x="x: int", to=" -> int", value="x"),
    ]
    wrong = [
        FUNCTION.format(i=3, x="x: int", to=" -> str", value="x"),
        FUNCTION.format(i=4, x="x", to="", value="re.escape(x)"),
        "import math\n\n\n" + FUNCTION.format(i=5, x="x", to="", value="math.squared(x)"),
    ]
    rows = [{"code": code} for code in [*right, *wrong]]
    with sandbox:
        result = run(only, rows, {"sandbox": sandbox}, workspace=tmp_path)
    assert {row["code"] for row in result.dataset.to_pylist()} == {*right}
    assert result.ledger[0]["codes"] == {"wrong_type": 3}


def test_instructions_of_more_than_200_words_leave(tmp_path) -> None:
    recipe = Recipe.load("self_code_align")
    stages = [stage for stage in recipe.stages if stage["use"] == "filters.where"]
    only = recipe.model_copy(update={"stages": stages, "engines": {}})
    word = "abcdefghij"
    seeds = [{"instruction": " ".join([word] * n)} for n in (1, 200, 201)]
    result = run(only, seeds, workspace=tmp_path)
    kept = {len(row["instruction"].split()) for row in result.dataset.to_pylist()}
    assert kept == {1, 200}
