"""The shipped recipe: what it does before it writes anything."""

import json

from gristmill import Recipe, run
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
    first = [stage["use"] for stage in recipe.stages[:4]]
    assert first[0] == "filters.near_duplicates"
    assert first[3] == "generators.self_code_align"
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


def test_instructions_of_more_than_200_words_leave(tmp_path) -> None:
    recipe = Recipe.load("self_code_align")
    stages = [stage for stage in recipe.stages if stage["use"] == "filters.where"]
    only = recipe.model_copy(update={"stages": stages, "engines": {}})
    word = "abcdefghij"
    seeds = [{"instruction": " ".join([word] * n)} for n in (1, 200, 201)]
    result = run(only, seeds, workspace=tmp_path)
    kept = {len(row["instruction"].split()) for row in result.dataset.to_pylist()}
    assert kept == {1, 200}
