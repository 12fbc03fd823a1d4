"""Every mistake gives one message with the fix and the right exit code, and loses nothing."""

import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from gristmill.storage.shards import failures, lock
from tools.audit import audit

BARE = ("--local", "--no-prefect")
SOURCE = str(Path(__file__).parents[2] / "src")


def refused(outcome, code: int, *parts: str) -> None:
    found, out, err = outcome
    assert (found, out) == (code, ""), err
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, err
    assert "Traceback" not in err
    for part in parts:
        assert part in errors[0]


@pytest.mark.parametrize(
    ("sets", "parts"),
    [
        (["stages.0.use=filters.lenght"], ["no 'filters.lenght'", "filters.length"]),
        (["stages.0.min_char=3"], ["there is no 'min_char'", "'min_chars'"]),
        (["stages.0.min_chars=many"], ["min_chars", "found 'many'"]),
        (["stages.0={use: scorers.word_count}"], ["reads 'output'", "add a stage that writes it"]),
        (["stages.0.use=os.path"], ["'os.path' is outside gristmill", "--allow-plugins"]),
        (["engines.generator.use=scriptde"], ["no 'scriptde'", "scripted"]),
        (["engines={}"], ["calls 'generator'", "add it to engines"]),
        (
            ["engines.scorer.model=me/it"],
            ["engines.scorer: tiny has no role 'scorer'; its roles are generator"],
        ),
        (["engines.genrator.use=scripted"], ["no stage calls 'genrator'", "['generator']"]),
        (["engines.scorer.use=scripted"], ["no stage calls 'scorer'; remove it"]),
        (["engines.generator.use=client"], ["no 'client' in gristmill.engines", "'scripted'"]),
        (
            ["stages.1.use=gristmill.generators.responses"],
            ["no 'gristmill.generators.responses'; did you mean one of ['generators.responses']?"],
        ),
        (["stages.7.k=3"], ["positions -3..2, found '7'"]),
        (["target=5", "stages.-1.k=9"], ["k=9", "target=5"]),
        (["tarqet=5"], ["there is no 'tarqet'", "'target'"]),
        (["stages"], ["expected PATH=VALUE"]),
        (["export.fromats=[csv]"], ["there is no 'export.fromats'; did you mean ['formats']?"]),
        (["rounds={n: 2, stop_wen: 1}"], ["there is no 'rounds.stop_wen'", "['stop_when']"]),
        (["engins.generator.use=vllm"], ["there is no 'engins'", "['engines']"]),
        (
            ["stages.1.sampling={temprature: 1}"],
            ["there is no 'sampling.temprature'; did you mean ['temperature']?"],
        ),
        ([f"seed={'9' * 23}"], ["column 1: 99999999999999999999999 has more than 64 bits"]),
        (["stages.2={use: selectors.gme, k: 3, seed: -1}"], ["seed: Input should be greater than"]),
        (["budget.tokens=x"], ["budget.tokens: Input should be a valid integer", "found 'x'"]),
        (["engines.generator=!!python/object:os.Thing {}"], ["remove the tag"]),
    ],
)
def test_a_mistake_in_the_recipe_is_named_with_its_fix(sets, parts, call) -> None:
    argv = [part for text in sets for part in ("--set", text)]
    refused(call("run", "tiny.yaml", *argv, *BARE), 2, *parts)


def test_engines_are_offered_that_can_be_used(call) -> None:
    _, _, err = call("check", "tiny.yaml", "--set", "engines.generator.use=zzz")
    offered = set(re.findall(r"'(\w+)'", err.partition("did you mean")[2]))
    assert {"vllm", "openai", "logprobs", "scripted", "sandbox"} <= offered
    assert not offered & {"base", "client", "requests", "progress", "models", "named", "zzz"}


def test_a_map_to_a_column_that_nobody_reads_names_the_nearest(call, place) -> None:
    (place / "qa.jsonl").write_text('{"instruction": "Why?", "answer": "So."}')
    given = ("check", "tiny.yaml", "--input", "qa.jsonl", "--map")
    outcome = call(*given, "outputt=answer")
    refused(outcome, 2, "no stage reads a column 'outputt'; did you mean ['output']?")
    assert call(*given, "output=answer", "--set", "stages.0.min_chars=1")[0] == 0


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("{use: selectors.top_k, of: strong}", "a score must be a number"),
        ("{use: selectors.contrastive}", "a rating must be a number"),
    ],
)
def test_a_selector_that_gets_texts_for_numbers_says_so(stage, message, call, place) -> None:
    row = {"instruction": "Why?", "output": "So.", "target_output": "No.", "target": 3.0}
    (place / "rows.jsonl").write_text(json.dumps({**row, "strong": "good"}))
    (place / "only.yaml").write_text(f"name: only\nstages: [{stage}]\n")
    outcome = call("run", "only.yaml", "--input", "rows.jsonl", *BARE)
    label = stage.split(".")[1].rstrip("}").split(",")[0]
    refused(outcome, 2, f"in stage '{label}': {message}, found a column of string")


CURATE = ("check", "curate", "--input", "rows.csv")


def test_rows_without_an_output_to_judge_are_refused_with_the_map(call, place) -> None:
    (place / "rows.csv").write_text("Question,model_answer,note\nWhy so?,Because it is.,good\n")
    columns = "instruction<-Question, output<-(none); carried: model_answer, note"
    judged = "judges the output of rows, but no seed has one"
    refused(call(*CURATE), 2, f"stage 'quality' {judged}", columns, "--map output=model_answer")
    assert call(*CURATE, "--map", "output=model_answer")[0] == 0
    skip = ("--set", "stages.0.skip=[empty_output]")
    refused(call(*CURATE, *skip), 2, f"stage 'ifd' {judged}")


def test_rows_without_an_instruction_to_judge_are_refused_with_the_map(call, place) -> None:
    (place / "rows.csv").write_text("Aufgabe,n,output\nWhy so?,7,Because it is.\n")
    (place / "only.yaml").write_text("name: only\nstages: [{use: filters.quality}]\n")
    given = ("check", "only.yaml", "--input", "rows.csv")
    judged = "stage 'quality' judges the instruction of rows, but no seed has one"
    refused(call(*given), 2, judged, "carried: Aufgabe, n", "--map instruction=YOURS")
    assert call(*given, "--set", "stages.0.skip=[empty_instruction]")[0] == 0
    refused(call(*CURATE), 2, "reads 'instruction'", "--map instruction=YOURS")


def test_who_only_changes_an_output_makes_none(call, place) -> None:
    (place / "rows.csv").write_text("instruction\nWhy so?\n")
    refused(call("check", "clean", "--input", "rows.csv"), 2, "judges the output of rows")
    judge, make = {"use": "filters.quality"}, {"use": "generators.responses"}
    engines = {"generator": {"use": "scripted"}}
    for stages, code in (([make, judge], 0), ([judge, make], 2)):
        recipe = {"name": "late", "engines": engines, "stages": stages}
        (place / "late.yaml").write_text(json.dumps(recipe))
        assert call("check", "late.yaml", "--input", "rows.csv")[0] == code


def test_empty_outputs_are_none(call, place) -> None:
    (place / "rows.csv").write_text("instruction,output\nWhy?, \n")
    refused(call(*CURATE), 2, "judges the output of rows", "add it to them")


def test_rows_of_which_nothing_is_judged_need_no_output(call, place) -> None:
    (place / "rows.csv").write_text("instruction\nWhy?\n")
    recipe = {
        "name": "spread",
        "engines": {"embedder": {"use": "sentence_transformers", "model": "minilm"}},
        "stages": [{"use": "scorers.embedding"}, {"use": "selectors.k_center", "k": 1}],
    }
    (place / "spread.yaml").write_text(yaml.safe_dump(recipe))
    assert call("check", "spread.yaml", "--input", "rows.csv")[0] == 0


def test_a_recipe_without_stages_says_that_alone(call, place) -> None:
    (place / "bare.yaml").write_text("name: bare\nseeds: {path: secret.jsonl}\n")
    outcome = call("check", "bare.yaml")
    refused(outcome, 2, "bare.yaml: 'stages' is missing")
    assert "secret" not in outcome[2]


BOMB = "\n".join(
    ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (BOMB.encode(), "YAML bomb"),
        (b"name: !!python/object/apply:os.system ['true']\n", "remove the tag"),
        (b"name: caf\xe9\n", "not UTF-8"),
        (b"- a\n- list\n", "found list"),
        (b"name: [unclosed\n", "not plain YAML: line"),
        (b"name: a\nname: b\n", "stands twice"),
        (b"", "expected keys"),
        (b"\x00\x01", "not plain YAML"),
    ],
)
def test_a_recipe_that_is_no_plain_yaml_is_refused(data, part, call, place) -> None:
    (place / "bad.yaml").write_bytes(data)
    refused(call("check", "bad.yaml"), 2, "bad.yaml", part)


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("none.jsonl", None, "none.jsonl"),
        ("empty.jsonl", b"", "no seeds in"),
        ("broken.jsonl", b"{not json}\n[1]\n", "no seeds in"),
        ("blank.csv", b"instruction\n", "no seeds in"),
        ("other.jsonl", b'{"wind": "Why?"}\n', "reads 'instruction'"),
        ("broken.parquet", b"PAR1 not really", "broken.parquet"),
    ],
)
def test_seeds_that_cannot_be_used_say_why(name, data, part, call, place) -> None:
    if data is not None:
        (place / name).write_bytes(data)
    refused(call("run", "tiny.yaml", "--input", name, *BARE), 2, part)
    assert not (place / "runs").exists()


def test_malformed_lines_are_counted_and_named_by_every_command(call, place) -> None:
    good = (place / "seeds.jsonl").read_text().splitlines()
    lines = [good[0], "{broken", *good[1:], "[1]", ""]
    (place / "seeds.jsonl").write_text("\n".join(lines))
    assert "seeds: 2 of 22 lines were no rows (lines 2, 22)\n" in call("check", "tiny.yaml")[1]
    said = "2 of 22 lines were no rows (lines 2, 22): "
    _, out, _ = call("preview", "tiny.yaml", *BARE)
    assert f"{said}.gristmill/preview/tiny-" in out
    code, out, _ = call("run", "tiny.yaml", "--json", *BARE)
    told = json.loads(out)
    assert (code, told["stages"][0]["in"]) == (0, 20)
    assert told["seeds"] == {"rows": 20, "malformed": 2}
    path = f"{told['run_dir']}/malformed.jsonl"
    assert '"line": 22' in (place / path).read_text()
    assert f"{said}{path}\n" in call("run", "tiny.yaml", *BARE)[1]
    assert f"{said}{path}\n" in call("status", "last")[1]
    assert json.loads(call("status", "last", "--json")[1])["seeds"] == told["seeds"]


def test_a_malformed_line_with_other_line_breaks_in_it_is_one_line(call, place) -> None:
    seeds = place / "seeds.jsonl"
    text = f'{seeds.read_text().rstrip()}\n{{"instruction": "a\u2028b\x85c"\n'
    seeds.write_text(text, encoding="utf-8")
    code, out, err = call("run", "tiny.yaml", *BARE)
    said = "1 of 21 lines was no row (line 21): "
    assert (code, said in out) == (0, True), err
    assert said in call("status", "last")[1]
    assert call("report", "last")[0] == 0


def test_malformed_lines_of_several_files_are_named_with_their_file(call, place) -> None:
    (place / "more").mkdir()
    for name in "ab":
        text = (place / "seeds.jsonl").read_text()
        (place / "more" / f"{name}.jsonl").write_text(f"{{\n{text}")
    _, out, _ = call("check", "tiny.yaml", "--input", "more", "--set", "seeds.limit=3")
    assert "seeds: 2 of 42 lines were no rows (lines a.jsonl:1, b.jsonl:1)\n" in out


def test_the_only_malformed_line_of_several_files_is_named_with_its_file(call, place) -> None:
    (place / "more").mkdir()
    for name in "abc":
        (place / "more" / f"{name}.jsonl").write_text((place / "seeds.jsonl").read_text())
    (place / "more" / "b.jsonl").write_text("{")
    said = "1 of 41 lines was no row (line b.jsonl:1)"
    given = ("tiny.yaml", "--input", "more")
    assert f"seeds: {said}\n" in call("check", *given)[1]
    for command in ("preview", "run"):
        assert f"{said}: " in call(command, *given, *BARE)[1]
    assert f"{said}: " in call("status", "last")[1]


def test_a_file_of_code_that_does_not_parse_is_named(call, place) -> None:
    (place / "code").mkdir()
    (place / "code" / "a.py").write_text('def f(x):\n    """Give it back."""\n    return x\n')
    (place / "code" / "b.py").write_text("def (:\n")
    _, out, _ = call("check", "demo", "--input", "code")
    assert "seeds: 1 of 2 lines was no row (line b.py:1)\n" in out


def test_a_seed_longer_than_the_context_is_rejected_and_the_others_go_on(call, place) -> None:
    with (place / "seeds.jsonl").open("a") as seeds:
        seeds.write("\n" + json.dumps({"instruction": "word " * 600}))
    limit = ("--set", "engines.generator.max_words=500")
    code, out, _ = call("run", "tiny.yaml", "--json", *limit, *BARE)
    told = json.loads(out)
    assert (code, told["kept"], told["failed"]) == (0, 6, 0)
    assert told["stages"][1]["rejected_children"] == 2
    assert "2 rejected by responses: prompt_too_long" in call("status", "last")[1]


@pytest.mark.parametrize(
    "engine",
    [
        "use: vllm, model: ./none",
        "use: logprobs, model: demoo",
        "use: sentence_transformers, model: ./no",
    ],
)
def test_a_model_that_does_not_exist_is_named_before_anything_runs(engine, call, place) -> None:
    recipe = yaml.safe_load((place / "tiny.yaml").read_text())
    recipe["stages"] = [{"use": "filters.length"}]
    role, stage = {
        "use: vllm": ("generator", {"use": "generators.responses", "n": 1}),
        "use: logprobs": ("scorer", {"use": "scorers.ifd"}),
        "use: sentence_transformers": ("embedder", {"use": "scorers.embedding"}),
    }[engine.partition(",")[0]]
    recipe["engines"] = {role: yaml.safe_load(f"{{{engine}}}")}
    recipe["stages"].append(stage)
    (place / "model.yaml").write_text(yaml.safe_dump(recipe))
    (place / "rows.jsonl").write_text('{"instruction": "Say why.", "output": "Because."}')
    outcome = call("check", "model.yaml", "--input", "rows.jsonl")
    refused(outcome, 2, "model", "cannot be found", "'demo'")


def test_check_online_says_when_the_hub_cannot_be_reached(place) -> None:
    more = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_secret", "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "gristmill", "check", "tiny.yaml", "--online"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": SOURCE, **more},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the Hub at http://127.0.0.1:9 cannot be reached")
    assert "hf_secret" not in done.stderr


def test_a_run_folder_of_another_recipe_is_left_alone(call, place) -> None:
    run_dir = place / json.loads(call("run", "tiny.yaml", "--json", *BARE)[1])["run_dir"]
    locked = run_dir / "recipe.lock.yaml"
    other = locked.read_text().replace("fingerprint: ", "fingerprint: 0")
    locked.write_text(other)
    refused(call("run", "tiny.yaml", *BARE), 2, "belongs to another recipe", "move it away")
    assert locked.read_text() == other


def test_nothing_that_a_command_says_commands_a_terminal(call, place) -> None:
    evil = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202e"
    (place / f"{evil}.jsonl").write_text(f'{{"instruction": "Say {evil}"\n')
    lines = [json.dumps({"instruction": f"Explain {evil} {i}.", "source": evil}) for i in range(20)]
    (place / "seeds.jsonl").write_text("\n".join([*lines, evil]))
    said = [call("run", "tiny.yaml", *BARE)]
    said += [call(name, f"last{evil}", "x") for name in ("trace", "publish", "diff")]
    said += [
        call("run", f"{evil}.yaml", *BARE),
        call("run", "tiny.yaml", "--input", f"{evil}.jsonl"),
    ]
    said += [call("status"), call("status", "last"), call("show", evil), call("review", evil)]
    assert [code for code, _, _ in said] == [0, 2, 2, 2, 2, 2, 0, 0, 2, 2]
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set("".join(o + e for _, o, e in said))


def test_a_preview_that_finds_the_workspace_held_leaves_the_last_one_alone(call, place) -> None:
    assert call("preview", "tiny.yaml", *BARE)[0] == 0
    folder = place / ".gristmill" / "preview"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert any(path.name == "ledger.json" for path in before)
    held = lock(place / ".gristmill" / "lock")
    refused(call("preview", "tiny.yaml", *BARE), 4, "held by another process")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    held.close()
    assert call("preview", "tiny.yaml", "--set", "stages.0.min_chars=2", *BARE)[0] == 0


def test_a_run_that_is_none_names_those_that_are(call, place) -> None:
    refused(call("status", "last"), 2, "no run 'last'", "nothing was run here")
    assert call("run", "tiny.yaml", *BARE)[0] == 0
    refused(call("status", "tinny"), 2, "no run 'tinny'", "did you mean ['tiny-")
    refused(call("report", "runs"), 2, "is no run")


def test_a_recipe_that_is_none_names_the_nearest_and_not_all(call) -> None:
    refused(call("check", "currate"), 2, "did you mean ['curate'", "`build-dataset list recipes`")
    said = "it is neither a file nor a shipped recipe; `build-dataset list recipes` names all"
    refused(call("check", "no/such-thing"), 2, said)


def test_seeds_that_are_not_there_are_not_taken_for_a_file_that_holds_none(call, place) -> None:
    (place / "seed.yaml").write_text("name: none")
    (place / "seed.jsonl.bak").write_text("")
    said = f"no file or folder seed.jsonl (looked for {place / 'seed.jsonl'}); did you mean"
    refused(call("check", "tiny.yaml", "--input", "seed.jsonl"), 2, said, "'seeds.jsonl'?")
    (place / "seeds.jsonl").rename(place / "other.data")
    outcome = call("check", "tiny.yaml", "--input", "seed.jsonl")
    refused(outcome, 2, "no file or folder seed.jsonl")
    assert "did you mean" not in outcome[2]


def test_a_recipe_without_its_ending_is_found_beside(call, place) -> None:
    refused(call("check", "tiny"), 2, "no recipe 'tiny'", "did you mean ['tiny.yaml']?")
    refused(call("check", "tinny.yaml"), 2, "did you mean ['tiny.yaml']?")
    refused(call("check", str(place / "tiny")), 2, f"did you mean ['{place / 'tiny.yaml'}']?")
    refused(call("check", "curat"), 2, "did you mean ['curate'")


@pytest.mark.parametrize("command", ["run", "preview"])
def test_a_workspace_that_cannot_be_written_is_named_before_anything_else(command, call) -> None:
    outcome = call(command, "none.yaml", "--workspace", "/proc/nope", *BARE)
    refused(outcome, 2, "--workspace /proc/nope", "name a folder that you may write to")
    outcome = call(command, "none.yaml", "--workspace", "seeds.jsonl", *BARE)
    refused(outcome, 2, "--workspace seeds.jsonl", "name a folder that you may write to")


def test_too_many_failing_rows_exit_3(call, place) -> None:
    (place / "bad.yaml").write_text(
        (place / "tiny.yaml").read_text().replace("'So \\g<0> {draw}'", "'\\g<9>'")
    )
    refused(call("run", "bad.yaml", *BARE), 3, "10 of 10 rows failed", "max_error_rate")


def test_a_run_that_its_error_rate_stops_gives_the_promised_json_too(call, place) -> None:
    whole = json.loads(call("run", "tiny.yaml", "--json", *BARE)[1])
    rules = "engines.generator.rules=[['.*', '\\g<9>']]"
    code, out, _ = call("run", "tiny.yaml", "--json", "--set", rules, *BARE)
    told = json.loads(out)
    assert (code, out.count("\n")) == (3, 1)
    assert told.keys() == whole.keys() | {"error", "kind", "exit_code"}
    assert (told["kind"], told["exit_code"]) == ("TooManyErrors", 3)
    assert (told["kept"], told["failed"], told["stop_reason"]) == (0, 10, "error_rate")
    assert (told["seeds"], told["dataset"]) == (whole["seeds"], f"{told['run_dir']}/dataset")
    assert [stage["failed"] for stage in told["stages"]] == [0, 10, 0, 0]
    run_dir = place / told["run_dir"]
    assert "stopped: error_rate\n" in call("status", run_dir.name)[1]
    assert f"  {run_dir.name}  stopped: error_rate\n" in call("list", "runs")[1]
    out = call("report", run_dir.name)[1]
    assert f"report   {told['run_dir']}/report.html\n" in out
    assert "card     none: the run has no dataset\n" in out
    assert not (run_dir / "dataset").exists()


def test_a_bug_keeps_its_traceback_in_a_file(call, place) -> None:
    source = """
from gristmill import RowStage

class Bug(RowStage):
    def reads(self):
        raise RuntimeError("broken on purpose")
"""
    (place / "mine_bug" / "filters").mkdir(parents=True)
    (place / "mine_bug" / "filters" / "bug.py").write_text(source)
    use = ("--set", "stages.0={use: mine_bug.filters.bug}", "--allow-plugins")
    refused(call("check", "tiny.yaml", *use), 1, "broken on purpose", ".gristmill/errors.log")
    assert "Traceback" in (place / ".gristmill" / "errors.log").read_text()


ODD = """
from typing import Annotated, TypedDict
import pyarrow as pa
from gristmill import TableStage, decisions

class Text(TypedDict):
    instruction: str

class Odd(TableStage):
    scope = "{scope}"
    codes = frozenset({{"odd"}})

    def decide(self, table: Annotated[pa.Table, Text]) -> Annotated[pa.Table, TypedDict("N", {{}})]:
        if any("topic 15" in text for text in table["instruction"].to_pylist()):
            raise ValueError("an odd row")
        return decisions(table, [True] * len(table), "odd")
"""


def odd(place: Path, scope: str) -> tuple[str, ...]:
    """Write a stage that cannot decide on one seed's rows; return what makes `tiny` use it."""
    folder = place / f"mine_{scope}" / "filters"
    folder.mkdir(parents=True)
    (folder / "odd.py").write_text(ODD.format(scope=scope))
    return ("--set", f"stages.2={{use: mine_{scope}.filters.odd}}", "--allow-plugins")


def test_a_family_that_a_stage_cannot_decide_on_fails_alone(call, place) -> None:
    most = ("--set", "max_error_rate=0.5")
    code, out, err = call("run", "tiny.yaml", "--json", *odd(place, "siblings"), *most, *BARE)
    told = json.loads(out)
    assert (code, told["kept"], told["failed"]) == (0, 18, 2), err
    assert told["stages"][2]["in"] == 20
    assert audit(place / told["run_dir"]) == []
    shard = next((place / told["run_dir"] / "shards" / "00-00").glob("*.parquet"))
    [line] = set(failures(shard, "odd"))
    assert line == "ValueError: an odd row"


def test_a_table_that_a_stage_cannot_decide_on_ends_the_run_by_its_name(call, place) -> None:
    outcome = call("run", "tiny.yaml", *odd(place, "table"), *BARE)
    refused(outcome, 1, "ValueError: an odd row, in stage 'odd';", ".gristmill/errors.log")
    assert "odd.py" in (place / ".gristmill" / "errors.log").read_text()


def start(place: Path, *more: str, limit: int | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gristmill", "run", "tiny.yaml", "--json", *BARE, *more]
    environment = {**os.environ, "PYTHONPATH": SOURCE}

    def limited() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.Popen(
        command,
        cwd=place,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=limited,
    )


def answers(place: Path) -> int:
    path = place / ".gristmill" / "answers.sqlite"
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
            return int(reader.execute("SELECT count(*) FROM answers").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def until_answered(place: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 100
    while not answers(place) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


@pytest.mark.slow
def test_a_second_run_in_one_workspace_exits_4_until_the_first_is_gone(call, place) -> None:
    with start(place, "--set", "engines.generator.max_delay_s=30") as first:
        until_answered(place, first)
        refused(call("run", "tiny.yaml", *BARE), 4, "held by another process")
        assert "not finished; a run holds the workspace" in call("status", "last")[1]
        assert first.poll() is None, "neither the run nor the look ended the first"
        first.kill()
    assert "not finished; nothing runs here" in call("status", "last")[1]
    assert call("run", "tiny.yaml", *BARE)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [10_000, 60_000])
def test_a_full_disk_stops_the_run_and_the_same_command_goes_on(size, place) -> None:
    """The smaller limit is met by the answer store at once, the larger one in the work."""
    lines = [json.dumps({"instruction": f"Explain topic {i}. " + "x" * 400}) for i in range(200)]
    (place / "seeds.jsonl").write_text("\n".join(lines))
    with start(place, limit=size) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert "cannot write" in json.loads(out)["error"]
    assert "run the same command again" in json.loads(out)["error"]
    kept = answers(place)
    with start(place) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["calls"] == {"made": 400 - kept, "replayed": kept}


@pytest.mark.slow
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(place) -> None:
    slow = ("--set", "engines.generator.max_delay_s=4")
    with start(place, *slow) as process:
        until_answered(place, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out.count("\n")) == (130, 1)
    told = json.loads(out)
    assert (told["kind"], told["exit_code"]) == ("Interrupted", 130)
    assert told["error"].startswith("stopped; nothing finished is lost")
    assert err.strip().splitlines()[-1].startswith("stopped; nothing finished is lost")
    kept = answers(place)
    assert 0 < kept < 20
    with start(place) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert json.loads(out)["calls"] == {"made": 20 - kept, "replayed": kept}
