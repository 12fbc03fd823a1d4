"""The stage on a tiny set, then on copies of real benchmarks hidden among real rows."""

import json
import os
import pickle
import random
import re
from pathlib import Path

import pytest
from demo_model.tasks import compose

import gristmill
from gristmill.errors import InputError
from gristmill.filters.contamination import Contamination
from gristmill.formats.benchmarks import add, rows_of
from gristmill.pipelines import Drop

TINY = Path(__file__).parents[1] / "data" / "benchmarks.json"
DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere"))
SETS = {
    "humaneval": "human_eval/HumanEval.jsonl",
    "mbpp": "mbpp/mbpp.jsonl",
    "gsm8k": "gsm8k/test.jsonl",
    "ifeval": "ifeval/input_data.jsonl",
    "svamp": "svamp/SVAMP.json",
}
GEESE = "Mina keeps seven grey geese and eleven white ducks behind the old mill."
CLEAN = {"instruction": "Name a tree.", "input": None, "output": "An oak."}


def stage(**changes) -> Contamination:
    return Contamination(**{"benchmarks": ("tiny",), "registry": str(TINY), **changes})


def test_a_copy_leaves_with_its_evidence_and_other_rows_stay() -> None:
    out = stage()({**CLEAN, "input": f"Read this. {GEESE}"})
    said = "mina keeps seven grey geese and eleven white ducks behind the old mill"
    assert out == Drop("contaminated", f"tiny by words, row tiny/1: {said}")
    assert stage()(CLEAN) == {}


@pytest.mark.parametrize(
    "row",
    [
        {"output": GEESE},
        {
            "messages": [
                {"role": r, "content": c} for r, c in (("user", "Hi"), ("assistant", GEESE))
            ]
        },
        {"prompt": "Hi", "chosen": "Ho", "rejected": GEESE},
    ],
    ids=["output", "messages", "pair"],
)
def test_everything_that_is_said_is_looked_at(row) -> None:
    assert isinstance(stage()({**dict.fromkeys(CLEAN), **row}), Drop)


def test_all_that_is_registered_is_meant_where_nothing_is_named(tmp_path) -> None:
    whole = Contamination(registry=str(TINY))
    assert whole.pins == stage().pins != ()
    assert isinstance(whole({**CLEAN, "input": GEESE}), Drop)
    empty = Contamination(registry=str(tmp_path / "none.json"))
    assert (empty.pins, empty({**CLEAN, "input": GEESE})) == ((), {})
    with pytest.raises(ValueError, match="benchmarks"):
        stage(benchmarks=())


def test_on_request_one_column_is_looked_into_and_nothing_else() -> None:
    of_seeds = stage(column="code")
    assert of_seeds.reads() == {"code", "flags"}
    seed = {"code": f'def f(x):\n    """{GEESE}"""\n    return x\n'}
    assert of_seeds(seed).code == "contaminated"
    assert of_seeds({**CLEAN, "output": GEESE, "code": "def f(): pass"}) == {}
    assert of_seeds({"code": None}) == {}


def test_on_request_the_row_stays_with_a_flag() -> None:
    flagging = stage(action="flag")
    out = flagging({**CLEAN, "output": GEESE, "flags": ["old"]})
    assert out["flags"] == ["old", "contaminated"]
    assert out["hit"].startswith("tiny by words, row tiny/1: mina keeps")
    assert flagging(CLEAN) == {}
    assert (sorted(flagging.writes()), stage().writes()) == (["flags", "hit"], {})


def test_only_the_methods_asked_for_are_used() -> None:
    program = {
        **CLEAN,
        "output": json.loads((TINY.parent / "tiny_benchmark.jsonl").read_text().splitlines()[1])[
            "code"
        ],
    }
    assert stage(methods=["words"])(program) == {}
    assert "tiny by solutions, row tiny/2" in stage()(program).detail


def test_what_was_registered_when_it_was_checked_is_meant_afterwards_too(tmp_path) -> None:
    rows = tmp_path / "one.jsonl"
    rows.write_text(json.dumps({"question": GEESE}) + "\n", encoding="utf-8")
    registry = tmp_path / "benchmarks.json"
    add(registry, "one", str(rows), {})
    checked = Contamination(registry=str(registry))
    add(registry, "two", str(rows), {})
    assert Contamination(**checked.model_dump()).pins == checked.pins
    assert len(Contamination(registry=str(registry)).pins) == 2


def test_the_pin_is_a_parameter_so_that_another_set_is_another_run(tmp_path) -> None:
    assert stage().pins == ("tiny=fbe05324f914",)
    assert stage(pins=["tiny=fbe05324f914"]) == stage()
    with pytest.raises(InputError, match=r"pins .*fbe05324f914.*, expected .*000"):
        stage(pins=["tiny=000"])
    with pytest.raises(InputError, match="no benchmark 'other'"):
        stage(benchmarks=["other"])
    with pytest.raises(InputError, match="build-dataset benchmarks add tiny PATH"):
        stage(registry=str(tmp_path / "none.json"))


def test_a_worker_that_starts_in_another_folder_finds_the_registry(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(TINY.parent)
    sent = pickle.dumps(stage(registry="benchmarks.json"))
    monkeypatch.chdir(tmp_path)
    arrived = pickle.loads(sent)
    assert isinstance(arrived({**CLEAN, "output": GEESE}), Drop)
    assert arrived.model_dump()["registry"] == "benchmarks.json"


needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="GRISTMILL_DATA names no folder")


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("registry") / "benchmarks.json"
    for name, file in SETS.items():
        add(path, name, str(DATA / file), {})
    return path


def copies(row):
    """Give the ways in which a row comes back, by name."""
    names = [n for n in re.findall(r"[a-z_]{3,}(?= =|,| in )", row.solution)[:3] if n != "and"]
    renamed = row.solution
    for i, name in enumerate(dict.fromkeys(names)):
        renamed = re.sub(rf"\b{name}\b", f"renamed_{i}", renamed)
    code = row.solution.replace("\r\n", "\n")
    yield "as it is", {"instruction": row.question, "output": ""}
    yield "inside", {"instruction": f"Please help.\n> {row.question}\nThank you!", "output": ""}
    yield "layout", {"instruction": row.question.upper().replace(" ", "\n  "), "output": ""}
    if row.is_code:
        tabs = re.sub(r"(?m)^( +)", lambda found: "\t" * len(found[1]), code)
        yield "re-indented", {"instruction": "Write it.", "output": f"```python\n{tabs}\n```"}
        noted = re.sub(r"(?m)$", "  # translated: \u00fcbersetzt", code)
        yield "commented", {"instruction": "Write it.", "output": noted}
        yield "renamed", {"instruction": "Write it.", "output": renamed}


@needs_data
def test_copies_of_real_benchmarks_are_found(registry) -> None:
    filtering = Contamination(benchmarks=tuple(SETS), registry=str(registry))
    found, asked = dict[tuple[str, str], int](), dict[tuple[str, str], int]()
    for name in SETS:
        for row in rows_of(registry, name)[::5]:
            for how, copy in copies(row):
                asked[name, how] = asked.get((name, how), 0) + 1
                hit = isinstance(filtering({**CLEAN, **copy}), Drop)
                found[name, how] = found.get((name, how), 0) + hit
    rates = {key: found[key] / n for key, n in asked.items()}
    whole = ("as it is", "inside", "layout")
    assert {rate for (_, how), rate in rates.items() if how in whole} == {1.0}, rates
    assert {how for _, how in rates} >= {"re-indented", "commented", "renamed"}
    # Three of four programs are long enough to be looked for, and nearly all of those are found.
    assert min(rates.values()) > 0.7, rates


@needs_data
def test_rows_that_are_no_copies_stay(registry) -> None:
    filtering = Contamination(benchmarks=tuple(SETS), registry=str(registry))
    files = ("alpaca/claude_t45.json", "dolly/dolly_3k.json", "code_alpaca/code_alpaca_2k.json")
    rows = [row for file in files for row in json.loads((DATA / file).read_text())[::3]]
    gone = [out.detail for row in rows if isinstance(out := filtering({**CLEAN, **row}), Drop)]
    assert len(rows) > 3000
    # One Dolly answer begins with the sentence of an encyclopedia that a prompt of IFEval quotes.
    assert len(gone) <= 1, gone


def strings(value: object) -> list[str]:
    """Return every text inside a row, however deep."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in inner for text in strings(one)]


@needs_data
def test_no_seed_no_example_and_no_task_of_the_demo_model_is_in_a_benchmark(tmp_path) -> None:
    known = {name: SETS[name] for name in ("humaneval", "mbpp", "gsm8k")}
    known["edits"] = "edit_eval/edit_eval.jsonl"
    for name, file in known.items():
        add(tmp_path / "registry.json", name, str(DATA / file), {})
    own = {"benchmarks": tuple(known), "registry": str(tmp_path / "registry.json")}
    filtering = Contamination(**own, ngram=10)
    rng, package = random.Random(0), Path(gristmill.__file__).parent
    files = sorted(package.rglob("*.jsonl"))
    rows = [json.loads(line) for path in files for line in path.read_bytes().splitlines()]
    made = [compose(rng) for _ in range(300)]
    told = [text for row in rows for text in strings(row)]
    told += [text for task in made for text in (task.instruction, task.code)]
    drops = [out for text in told if (out := filtering({**CLEAN, "output": text}))]
    assert len(files) > 30
    assert not drops
