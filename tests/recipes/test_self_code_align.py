"""The shipped recipe: what it does before it writes anything."""

from gristmill import Recipe, run

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
    assert recipe.stages[2] == {"use": "generators.self_code_align"}
    only = recipe.model_copy(update={"stages": recipe.stages[:1], "engines": {}})
    result = run(only, workspace=tmp_path)
    # 46 and 47 runs of five words, 33 of them shared: 33 / 60, above the paper's 0.5.
    assert result.ledger[0]["codes"] == {"near_duplicate": 1}
    names = {row["name"] for row in result.dataset.to_pylist()}
    assert len(names) == 2
    assert "add" in names


def test_instructions_of_more_than_200_words_leave(tmp_path) -> None:
    recipe = Recipe.load("self_code_align")
    stages = [stage for stage in recipe.stages if stage["use"] == "filters.where"]
    only = recipe.model_copy(update={"stages": stages, "engines": {}})
    word = "abcdefghij"
    seeds = [{"instruction": " ".join([word] * n)} for n in (1, 200, 201)]
    result = run(only, seeds, workspace=tmp_path)
    kept = {len(row["instruction"].split()) for row in result.dataset.to_pylist()}
    assert kept == {1, 200}
