"""The command line in this process: what it prints, where, and the exit code."""

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gristmill.commands.screen import Screen
from gristmill.engines.progress import PROGRESS, Meter, Progress
from gristmill.flows.order import Order
from gristmill.storage.shards import lock

BARE = ("--local", "--no-prefect")


def test_run_json_ends_with_one_object_and_nothing_else(call, place) -> None:
    code, out, err = call("run", "tiny.yaml", "--json", "--quiet", *BARE)
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert out.count("\n") == 1
    stages = told.pop("stages")
    assert told.pop("wall_s") > 0
    run_dir = Path(told.pop("run_dir"))
    assert Path(told.pop("dataset")) == run_dir / "dataset"
    assert (place / run_dir / "ledger.json").exists()
    assert told == {
        "seeds": {"rows": 20, "malformed": 0},
        "kept": 6,
        "rejected": 24,
        "failed": 0,
        "stop_reason": "seeds",
        "tokens": 20 * (3 + 5),
        "calls": {"made": 20, "replayed": 0},
    }
    line = {"entered_ok": 10, "failed": 0, "rejected_children": 0}
    assert stages[0] == {
        **line,
        "label": "length",
        "in": 20,
        "rejected": 10,
        "made": 10,
        "kept": 10,
    }
    assert [stage["kept"] for stage in stages] == [10, 20, 20, 6]


def test_run_says_where_everything_is_and_what_comes_next(call) -> None:
    assert call("run", "tiny.yaml", *BARE)[0] == 0
    code, out, _ = call("run", "tiny.yaml", *BARE)
    assert code == 0
    assert "6 rows: all seeds are used" in out
    assert "0 made, 20 replayed" in out
    assert "next     build-dataset trace runs/tiny-" in out
    assert "dataset  runs/tiny-" in out


def test_a_missed_target_and_a_spent_budget_exit_3_with_what_there_is(call) -> None:
    code, out, _ = call("run", "tiny.yaml", "--target", "30", *BARE)
    assert code == 3
    assert "6 rows, selected from 20 of the 30 wanted: all seeds are used" in out
    assert "give more seeds" in out
    code, out, _ = call("run", "tiny.yaml", "--set", "budget.tokens=10", "--json", *BARE)
    assert (code, json.loads(out)["stop_reason"]) == (3, "budget")
    sets = ["stages.0.min_chars=1", "stages.1.n=1", "stages.-1.k=2", "budget.tokens=1"]
    few = [part for each in sets for part in ("--set", each)]
    code, out, _ = call("run", "tiny.yaml", "--target", "2", *few, *BARE)
    assert code == 0
    assert "the target is reached\nthe budget of 1 tokens was passed: a run looks at it" in out


def test_a_run_that_keeps_no_row_exits_3_and_says_where_they_left(call) -> None:
    code, out, _ = call("run", "tiny.yaml", "--set", "stages.0.min_chars=999", *BARE)
    assert code == 3
    assert "0 rows: all seeds are used\nno row was kept" in out
    assert "next     build-dataset status runs/tiny-" in out


def test_a_met_target_exits_0(call) -> None:
    code, out, _ = call("run", "tiny.yaml", "--target", "8", "--json", *BARE)
    assert (code, json.loads(out)["stop_reason"]) == (0, "target")


def test_check_shows_the_plan_and_writes_nothing(call, place) -> None:
    before = sorted(place.rglob("*"))
    code, out, _ = call("check", "tiny.yaml")
    assert code == 0
    assert "tiny: 20 seeds" in out
    assert "\nshape: instruction<-instruction, output<-(none); carried: nothing\n" in out
    assert "malformed" not in out
    assert "\ntarget: every row that passes; then longest keeps 6 of them at most\n" in out
    line = next(line for line in out.splitlines() if "generators.responses" in line)
    assert re.split(r" {2,}", line.strip()) == [
        "responses", "generators.responses", "generator", "input, instruction", "gen, output",
    ]  # fmt: skip
    assert sorted(place.rglob("*")) == before
    code, out, _ = call("check", "tiny.yaml", "--json")
    assert [stage["label"] for stage in json.loads(out)["stages"]] == [
        "length",
        "responses",
        "longest",
    ]


def test_the_shipped_model_is_called_a_toy_before_it_judges_anybodys_rows(call, place) -> None:
    toy = "scorer: the model `demo` only shows the machinery"
    stages = [{"use": "filters.length", "min_chars": 1}, {"use": "scorers.ifd"}]
    recipe = {"name": "own", "engines": {"scorer": {"use": "logprobs", "model": "demo"}}}
    (place / "own.yaml").write_text(json.dumps({**recipe, "stages": stages}))
    (place / "rows.jsonl").write_text('{"instruction": "Why?", "output": "So."}')
    given = ("own.yaml", "--input", "rows.jsonl")
    assert toy in call("check", *given)[1]
    assert toy in call("preview", *given, *BARE)[2]
    assert toy in call("run", *given, *BARE)[2]
    assert toy not in call("check", "tiny.yaml")[1]


def test_a_stage_that_compares_with_nothing_says_so(call, place) -> None:
    nothing = "contamination: no benchmark was registered"
    (place / "own.yaml").write_text('{"name": "own", "stages": [{"use": "filters.contamination"}]}')
    (place / "rows.jsonl").write_text('{"instruction": "Why?", "output": "So."}')
    given = ("own.yaml", "--input", "rows.jsonl")
    assert nothing in call("check", *given)[1]
    assert nothing in call("run", *given, *BARE)[2]
    assert call("benchmarks", "add", "mine", "rows.jsonl")[0] == 0
    assert nothing not in call("check", *given)[1]


def test_an_export_without_a_place_for_some_rows_says_so(call, place) -> None:
    rows = [{"instruction": "Why?", "output": "So."}, {"instruction": "And then?"}]
    (place / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = {"name": "own", "stages": [{"use": "filters.exact_duplicates"}]}
    (place / "own.yaml").write_text(json.dumps({**recipe, "export": {"formats": ["alpaca"]}}))
    code, out, _ = call("run", "own.yaml", "--input", "rows.jsonl", *BARE)
    assert code == 0
    assert "\nexports/alpaca/train.jsonl lacks 1 row of the dataset: no answer 1\n" in out


def test_preview_shows_rows_and_the_full_run_does_not_pay_for_them_again(call, place) -> None:
    code, out, _ = call("preview", "tiny.yaml", "--target", "15", *BARE)
    assert code == 0
    assert "output: So Explain topic" in out
    assert "length: too_short" in out
    assert not (place / "runs").exists()
    paid = int(out.split(" calls made")[0].split("\n")[-1])
    code, out, _ = call("run", "tiny.yaml", "--json", *BARE)
    assert json.loads(out)["calls"] == {"made": 20 - paid, "replayed": paid}
    assert 0 < paid < 20


def test_preview_runs_the_first_two_rounds(call) -> None:
    stages = "stages=[{use: generators.responses, n: 1}]"
    _, out, _ = call("preview", "tiny.yaml", "--set", stages, "--set", "rounds={n: 3}", *BARE)
    assert "\n20 rows from 10 seeds\n20 calls made" in out
    assert "uses these answers again" not in out, "a pool of ten seeds asks something else"


def test_preview_names_what_left_and_what_failed_and_nothing_where_nothing_did(call) -> None:
    whole = ("preview", "tiny.yaml", "--set", "stages=[{use: generators.responses, n: 1}]", *BARE)
    _, out, _ = call(*whole)
    assert "\n10 rows from 10 seeds\n10 calls made" in out
    broken = "engines.generator.rules=[['[13579]\\.', '\\g<9>'], ['.', 'So.']]"
    _, out, _ = call(*whole, "--set", broken, "--set", "max_error_rate=1")
    failed = 10 - out.count("output: So.")
    assert 0 < failed < 10
    told = f"\n{10 - failed} rows from 10 seeds; these left:\n  {failed:6} responses: failed\n"
    assert told in out


def test_preview_takes_the_terminal_commands_out_of_rows(call, place) -> None:
    evil = "Explain \x1b]0;owned\x07topic \x1b[31mred[/red] [bold]x\x9b2J\u202e."
    (place / "evil.jsonl").write_text(json.dumps({"instruction": evil}))
    code, out, _ = call("preview", "tiny.yaml", "--input", "evil.jsonl", *BARE)
    assert code == 0
    assert "instruction: Explain topic red[/red] [bold]x." in out
    assert "\x1b" not in out


def test_json_on_a_terminal_is_one_line_that_commands_nothing() -> None:
    evil = "caf\u00e9 \x1b[31m \x9b2J \x7f \x85 \u2028 \u202e \ud800 \U000e0041 \u732b"
    out, err = io.StringIO(), io.StringIO()
    Screen(out, err, json=True, quiet=False).result({evil: evil})
    text = out.getvalue()
    assert not set(text) & set("\x1b\x7f\x85\x9b\u2028\u202e\ud800\U000e0041")
    assert "caf\u00e9" in text
    assert "\u732b" in text
    assert (len(text.splitlines()), json.loads(text)) == (1, {evil: evil})


def test_list_names_recipes_stages_and_runs(call) -> None:
    assert call("run", "tiny.yaml", *BARE)[0] == 0
    code, out, _ = call("list")
    assert code == 0
    assert "filters.length" in out
    assert "  6 rows" in out
    recipes = out.partition("stages:")[0].splitlines()[1:]
    assert len(recipes) > 3
    assert all(line.endswith(".") for line in recipes), "a whole sentence for each"
    _, out, _ = call("list", "stages", "--json")
    assert {
        "name": "filters.length",
        "about": "Keep texts of a sensible length, in characters, words or tokens.",
    } in (json.loads(out)["stages"])


def test_show_knows_recipes_stages_runs_and_rows(call) -> None:
    told = json.loads(call("run", "tiny.yaml", "--json", *BARE)[1])
    assert "name: tiny" in call("show", "tiny.yaml")[1]
    assert "reject codes: too_long, too_short" in call("show", "filters.length")[1]
    assert "finished: seeds" in call("show", Path(told["run_dir"]).name)[1]
    run = call("run", "tiny.yaml", *BARE)[1]
    row = run.split("next     build-dataset trace ")[1].split()[1]
    assert call("show", row[:12])[1] == call("trace", "last", row)[1]
    code, out, err = call("show", "abcdef0123")
    assert (code, out) == (2, "")
    assert "no row's id" in err
    assert "did you mean ['selectors.k_center']?" in call("show", "k_center")[2]


def test_trace_walks_back_to_the_seed(call) -> None:
    assert call("run", "tiny.yaml", *BARE)[0] == 0
    code, out, _ = call("trace", "last", "0")
    assert code == 0
    assert out.index("seed") < out.index("made by responses")
    told = json.loads(call("trace", "last", "0", "--json")[1])
    assert [row["stage"] for row in told["line"]] == ["seeds", "responses"]
    code, _, err = call("trace", "last", "99")
    assert code == 2
    assert "the dataset has 6" in err


def test_trace_shows_what_was_asked_and_answered(call, place) -> None:
    rule = r'engines.generator.rules=[["(?s).*", "So \\g<0>\nline two \e[31m{draw}"]]'
    assert call("run", "tiny.yaml", "--set", rule, *BARE)[0] == 0
    out = call("trace", "last", "0")[1]
    starts = re.findall(r"(?m)^  call [0-9a-f]{12}  generate: (.*)$", out)
    assert len(starts) == 2
    assert all(re.fullmatch(r"So Explain topic \d+\. line two \d", start) for start in starts)
    assert "each reply is shown by its start; `--calls` shows all of it, and what was asked" in out
    whole = call("trace", "last", "0", "--calls")[1]
    head = r"(?m)^  call [0-9a-f]{32}  generate:\n    > user: "
    shown = rf"{head}(Explain topic \d+\.)\n    So \1\n    line two \d$"
    assert len(re.findall(shown, whole)) == 2
    assert "\x1b" not in out + whole
    told = json.loads(call("trace", "last", "0", "--json")[1])
    assert [reply["kind"] for reply in told["replies"].values()] == ["generate"] * 2
    shutil.rmtree(place / ".gristmill")
    out = call("trace", "last", "0")[1]
    assert re.search(r"(?m)^  call [0-9a-f]{32}$", out)
    assert "the answer store is not at hand" in out


def test_report_writes_card_and_report_again(call, place) -> None:
    assert call("run", "tiny.yaml", *BARE)[0] == 0
    code, out, _ = call("report", "last", "--json")
    assert (code, out.count("\n")) == (0, 1)
    paths = [Path(path) for path in json.loads(out).values()]
    assert [path.name for path in paths] == ["report.html", "README.md"]
    assert all((place / path).stat().st_size > 1000 for path in paths)


def test_publish_without_a_token_says_where_to_get_one(call, monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert call("run", "tiny.yaml", *BARE)[0] == 0
    code, _, err = call("publish", "last", "me/data")
    assert code == 2
    assert "set HF_TOKEN" in err


def test_init_writes_a_recipe_that_loads_and_overwrites_nothing(call, place) -> None:
    code, out, _ = call("init", "mine", "--from", "tiny.yaml")
    assert code == 0
    assert "build-dataset check mine.yaml" in out
    text = (place / "mine.yaml").read_text()
    assert "\nname: mine\n" in text
    assert "# Two answers for each seed" in text
    assert call("check", "mine.yaml")[0] == 0
    code, _, err = call("init", "mine")
    assert code == 2
    assert "there already" in err
    assert call("init", "../mine")[0] == 2
    assert "sub/mine.yaml is written" in call("init", "mine", "--workspace", "sub")[1]
    assert (place / "sub" / "mine.yaml").is_file()


def test_init_leaves_the_names_of_shipped_recipes_alone(call, place) -> None:
    for more, origin in ([], "clean"), (["--from", "tiny.yaml"], "tiny.yaml"):
        code, out, err = call("init", "clean", *more)
        assert (code, out) == (2, "")
        assert "`build-dataset run clean` would still run that one" in err
        assert err.endswith(f"build-dataset init my_clean --from {origin}\n")
    assert not (place / "clean.yaml").exists()


def test_a_schedule_without_a_server_says_how_to_start_one(call, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    code, _, err = call("schedule", "tiny.yaml", "--cron", "0 3 * * *")
    assert code == 2
    assert "prefect server start" in err


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (["--input", "nothere.json"], "nothere.json"),
        (["--set", "stages.-1.kk=3"], "there is no 'kk'"),
        (["--no-prefect"], "unrecognized arguments: --no-prefect"),
    ],
)
def test_a_schedule_is_refused_for_what_a_run_would_be(more, part, call, monkeypatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    code, out, err = call("schedule", "tiny.yaml", "--cron", "0 3 * * *", *more)
    assert (code, out) == (2, "")
    assert part in err
    assert "serving" not in err


@pytest.mark.parametrize("command", [["run"], ["schedule", "--cron", "0 3 * * *"]])
def test_a_configured_server_that_is_down_is_named_with_the_fix(command, call, monkeypatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        code, out, err = call(*command, "tiny.yaml", "--local")
    assert (code, out) == (2, "")
    assert "error: the Prefect server http://127.0.0.1:9/api does not answer" in err
    assert "prefect server start" in err
    assert "unset PREFECT_API_URL, or add --no-prefect" in err
    assert "serving" not in err


@pytest.mark.parametrize("cron", ["every day", "99 3 * * *", ""])
def test_a_schedule_that_is_none_is_refused_before_anything_else(cron, call) -> None:
    code, out, err = call("schedule", "none.yaml", "--cron", cron)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: --cron '{cron}' is no cron expression; ")
    assert err.endswith("such as '0 3 * * *'\n")
    assert err.count("\n") == 1


def test_status_of_an_unfinished_run_counts_its_shards(call, place) -> None:
    run_dir = Path(json.loads(call("run", "tiny.yaml", "--json", *BARE)[1])["run_dir"])
    (place / run_dir / "ledger.json").unlink()
    shutil.rmtree(place / ".gristmill")
    code, out, _ = call("status", "last")
    assert code == 0
    assert not (place / ".gristmill").exists(), "a look leaves nothing behind"
    assert "not finished; nothing runs here" in out
    assert "10 rejected by length: too_short" in out
    assert "rows/s" not in out


def test_status_has_the_stages_in_the_order_of_the_recipe(call, place) -> None:
    """In the order of the alphabet `a_filter` stood first, and what one shard lacks last."""
    text = (place / "tiny.yaml").read_text()
    more = (
        "  - {use: filters.length, as: a_filter}\n  - {use: filters.length, as: z, min_chars: 1}\n"
    )
    (place / "tiny.yaml").write_text(
        text.replace("  - use: selectors", more + "  - use: selectors")
    )
    run_dir = place / json.loads(call("run", "tiny.yaml", "--json", *BARE)[1])["run_dir"]
    wanted = ["length", "responses", "a_filter", "z", "target", "longest"]
    for note in json.loads((run_dir / "ledger.json").read_text())["stages"], None:
        if note is None:
            (run_dir / "ledger.json").unlink()
        told = json.loads(call("status", "last", "--json")[1])["stages"]
        assert [line["stage"] for line in told] == wanted
        assert note is None or told == note


def test_status_shows_the_work_under_way_and_what_was_last_seen_of_a_killed_one(
    call, place
) -> None:
    run_dir = place / json.loads(call("run", "tiny.yaml", "--json", *BARE)[1])["run_dir"]
    assert not (run_dir / PROGRESS).exists(), "a run that ends takes it away"
    (run_dir / "ledger.json").unlink()
    now = Progress("length + responses", 2, 1500, 4000, 70, 30_000, 9, 3, 60.0)
    Meter({}, int, None, run_dir / "costs").write_progress(replace(now, unit_s=50.0))
    held = lock(place / ".gristmill" / "lock")
    _, out, _ = call("status", "last")
    assert "not finished; a run holds the workspace" in out
    assert (
        "now      length + responses, wave 2: 1,500 of 4,000 rows, 30 rows/s, 500 tokens/s, "
        "70 kept before, 1:23 left" in out
    )
    told = json.loads(call("status", "last", "--json")[1])["progress"]
    assert (told["rows_done"], told["rows_total"], told["made"]) == (1500, 4000, 9)
    held.close()
    assert (
        "last seen at length + responses, wave 2: 1,500 of 4,000 rows" in call("status", "last")[1]
    )


def test_status_calls_no_run_finished_that_grows_or_was_stopped_while_it_grew(call) -> None:
    assert call("run", "tiny.yaml", "--target", "8", *BARE)[0] == 0
    assert "finished: target" in call("status", "last")[1]
    said: list[str] = []

    async def stop(_name: str, _work: object) -> None:
        said.append(call("status", "last")[1])
        raise TimeoutError

    more = Order(recipe="tiny.yaml", target=15, local=True)
    with pytest.raises(TimeoutError):
        more.execute(more.prepare(), step=stop)
    assert "not finished; a run holds the workspace" in said[0]
    assert "not finished; nothing runs here" in call("status", "last")[1]
    assert call("run", "tiny.yaml", "--target", "15", *BARE)[0] == 0
    assert "finished: target" in call("status", "last")[1]


@pytest.mark.parametrize(
    ("argv", "code"),
    [(["--help"], 0), (["run"], 2), (["fly"], 2), (["run", "a", "--target", "0"], 2),
     (["run", "tiny.yaml", "--local", "--ray", "auto"], 2)],
)  # fmt: skip
def test_usage_gives_the_usual_exit_codes(argv, code, call) -> None:
    assert call(*argv)[0] == code


def test_quiet_leaves_results_and_errors_only(call) -> None:
    code, out, err = call("run", "tiny.yaml", "--quiet", *BARE)
    assert (code, err) == (0, "")
    assert out.startswith("6 rows: all seeds are used\ndataset  runs/tiny-")
    assert "next" not in out
    code, out, err = call("run", "none.yaml", "--quiet", *BARE)
    assert (code, out) == (2, "")
    assert err.startswith("error: no recipe 'none.yaml'")


def test_an_error_with_json_is_one_object_too(call) -> None:
    code, out, _ = call("check", "none.yaml", "--json")
    told = json.loads(out)
    assert (code, told["exit_code"], told["kind"]) == (2, 2, "RecipeError")


def test_a_look_that_cannot_be_written_is_no_failure() -> None:
    now = Progress("u", 1, 0, 1, 0, 0, 0, 0, 1.0)
    Meter({}, int, None, Path("/proc/nope/costs")).write_progress(now)
