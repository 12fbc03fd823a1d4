"""kill -9 at random moments, then the same command again: nothing lost, no stored answer re-asked.

An answer that the engine finished but that was not yet on disk when the kill came is asked for
again; the test counts those and bounds them by the calls in flight.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import yaml
from audit import audit

RECIPE = Path(__file__).parents[1] / "evol_votes.yaml"
RULES = [
    [r"(?s).*### Base instruction\n(.*)\n\n### \w+ instruction$", r"\1 {draw}"],
    ["### Same or different$", "different"],
    [".*", "So {draw}"],
]
KILLS = int(os.environ.get("GRISTMILL_KILLS", "10"))
IN_FLIGHT = 8
SCRIPT = """
import sys
from pathlib import Path
from gristmill import Recipe, run
from gristmill.pipelines import LocalRunner

path, seeds, log, workspace, delay_s, target = sys.argv[1:]
sets = [f"engines.generator.log={log}", f"engines.generator.max_delay_s={delay_s}"]
sets.append(f"target={target}")
recipe = Recipe.load(Path(path), sets, Path(seeds))
print("ready", flush=True)
runner = LocalRunner(rows_per_shard=5, in_flight=8)
run(recipe, runner=runner, workspace=Path(workspace))
"""


def start(tmp_path: Path, workspace: str, log: str, delay_s: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "recipe.yaml")]
    command += [str(tmp_path / "seeds.jsonl")]
    command += [str(tmp_path / log), str(tmp_path / workspace), str(delay_s), str(6 * KILLS)]
    source = str(Path(__file__).parents[2] / "src")  # also where the package is not installed
    environment = {**os.environ, "PYTHONPATH": source}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def keys(log: Path) -> list[str]:
    return (
        [json.loads(line)["key"] for line in log.read_text().splitlines()] if log.exists() else []
    )


def stored(workspace: Path) -> set[str]:
    path = workspace / ".gristmill" / "answers.sqlite"
    if not path.exists():
        return set()
    with sqlite3.connect(path) as reader:
        if not reader.execute("SELECT name FROM sqlite_master").fetchone():
            return set()
        return {key for (key,) in reader.execute("SELECT key FROM answers")}


def test_killed_runs_end_with_the_same_bytes_and_repeat_no_stored_answer(tmp_path) -> None:
    lines = [json.dumps({"instruction": f"Explain topic {i}."}) for i in range(6 * KILLS)]
    (tmp_path / "seeds.jsonl").write_text("\n".join(lines))
    recipe = yaml.safe_load(RECIPE.read_text())
    recipe["engines"]["generator"]["rules"] = RULES
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    whole = start(tmp_path, "whole", "whole.log", 0)
    assert whole.communicate(timeout=60)[0] == "ready\n"
    assert whole.returncode == 0
    moments = random.Random(os.environ.get("GRISTMILL_SEED", "0"))
    log, workspace = tmp_path / "killed.log", tmp_path / "killed"
    kills = repeated = 0
    progress: list[int] = []
    while True:
        before, seen = stored(workspace), len(keys(log))
        process = start(tmp_path, "killed", "killed.log", 0.02 if kills < KILLS else 0)
        assert process.stdout
        process.stdout.readline()
        if kills < KILLS:
            more = moments.randint(0, 20)
            while process.poll() is None and len(keys(log)) < seen + more:
                time.sleep(0.001)
            time.sleep(moments.uniform(0.0, 0.02))
            process.send_signal(signal.SIGKILL)
        code = process.wait(60)
        process.stdout.close()
        assert not before & set(keys(log)[seen:]), "an answer that was stored was asked for again"
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
        progress.append(len(keys(log)))
    times = Counter(keys(log))
    repeated = sum(times.values()) - len(times)
    sys.stdout.write(f"kills={kills} calls={len(times)} unstored answers asked again={repeated}\n")
    sys.stdout.write(f"calls finished at each kill: {progress}\n")
    assert kills >= KILLS
    assert len(set(progress)) > 3, "the kills missed the work"
    assert repeated <= kills * IN_FLIGHT * 8
    run, whole = (next((tmp_path / w / "runs").iterdir()) for w in ("killed", "whole"))
    assert set(times) == set(keys(tmp_path / "whole.log"))
    assert audit(run) == audit(whole) == []
    names = ["dataset/data/train-00000-of-00001.parquet", "ledger.json"]
    for name in names[:1]:
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    assert (
        json.loads((run / names[1]).read_text())["stages"]
        == (json.loads((whole / names[1]).read_text())["stages"])
    )
