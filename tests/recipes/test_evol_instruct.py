"""The recipe through `run()`: literal replies in, rows, rejects and ledger out."""

import json

from audit import audit

from gristmill import Recipe, run

RIVER = "Name a river."
HARDER = "Name a river that crosses three borders, and say which countries it leaves behind."
ANSWERS = {
    RIVER: "The Rhine.",
    HARDER: "The Rhine leaves Switzerland, Austria and Germany behind.",
}
TABLE = {
    (f"### Base instruction\n{RIVER}\n\n###", "instruction"): [HARDER],
    ("### Same or different", HARDER): ["different"],
    HARDER: [ANSWERS[HARDER]],
    RIVER: [ANSWERS[RIVER]],
    ("### Base instruction\nName a lake.\n\n###", "instruction"): ["Name a lake!"],
    "Name a lake.": ["Sorry, no."],
}
STAGES = (
    "stages=[{use: generators.evol_instruct, rounds: 1, operators: [constraint]}, "
    "{use: filters.length}]"
)


def test_every_version_is_a_row_and_every_elimination_a_reject(script, tmp_path) -> None:
    recipe = Recipe.load("evol_instruct", [STAGES, "engines={}"])
    seeds = [{"instruction": RIVER}, {"instruction": "Name a lake."}]
    result = run(recipe, seeds, {"generator": script(TABLE)}, workspace=tmp_path)
    rows = sorted(result.dataset.to_pylist(), key=lambda row: len(row["instruction"]))
    assert [row["instruction"] for row in rows] == [RIVER, HARDER]
    assert [row["output"] for row in rows] == [ANSWERS[row["instruction"]] for row in rows]
    lineages = [json.loads(row["meta"])["evol_instruct"]["lineage"] for row in rows]
    assert lineages == [[], ["constraint"]]
    assert len({row["root"] for row in rows}) == 1
    assert [len(row["calls"]) for row in rows] == [4, 4], "all calls of the seed's procedure"
    line = result.ledger[0]
    assert (line["in"], line["made"], line["kept"], line["rejected_children"]) == (2, 4, 2, 2)
    assert line["codes"] == {"refusal": 1, "no_gain": 1}
    assert audit(result.path) == []

    again = run(recipe, seeds, {"generator": script({})}, workspace=tmp_path)
    assert again.dataset == result.dataset


def test_the_shipped_recipe_runs_on_its_own_seeds(engine, tmp_path) -> None:
    def answer(prompt: str, draw: int) -> str:
        if prompt.endswith("Same or different"):
            return "different"
        if prompt.endswith("instruction"):
            base = prompt.split("### Base instruction\n")[1].split("\n\n###")[0]
            return "" if draw % 7 == 0 else f"{base} Use at most {draw % 97} lines, and say why."
        return f"One way to do it takes {draw % 89} steps: {prompt.lower()[::-1]}"

    recipe = Recipe.load("evol_instruct", ["stages.-1.k=20"])
    model = engine(answer=answer)
    result = run(recipe, engines=dict.fromkeys(recipe.engines, model), workspace=tmp_path)
    first = result.ledger[0]
    assert (first["in"], first["made"]) == (40, 40 * 5)
    assert first["codes"].keys() == {"empty", "no_gain"}, (
        "a long version plus ten words is the same"
    )
    assert len(result.dataset) == 20
    assert {row["license"] for row in result.dataset.to_pylist()} == {"Apache-2.0"}
    assert audit(result.path) == []


def test_a_chain_that_grows_to_more_than_four_times_its_seed_is_cut(script, tmp_path) -> None:
    long = "Name a river and " + "a bridge and " * 5 + "a lake."  # 21 words after 4
    table = {
        ("### Base instruction\nName a big river.\n\n###", "instruction"): [long],
        ("### Same or different", long): ["different"],
        long: ["The Rhine, five bridges, and the lake of Constance."],
    }
    recipe = Recipe.load("evol_instruct", ["engines={}"])
    evolve, cut, *_ = recipe.stages
    stages = [{**evolve, "rounds": 1, "operators": ["constraint"]}, cut]
    recipe = recipe.model_copy(update={"stages": stages})
    seeds = [{"instruction": "Name a big river.", "output": "The Rhine."}]
    result = run(recipe, seeds, {"generator": script(table)}, workspace=tmp_path)
    assert [row["instruction"] for row in result.dataset.to_pylist()] == ["Name a big river."]
    assert result.ledger[1]["codes"] == {"overgrown": 1}
