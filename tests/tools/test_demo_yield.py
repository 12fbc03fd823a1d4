"""What the demo has to give, on a run made by hand."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from demo_model.syntax import tree_hash
from demo_yield import measure, shortfalls

ROOT = Path(__file__).parents[2]
GOOD = {"novel_rate": 0.3, "pass_rate": 0.1, "distinct_rate": 0.6, "verified": 9}


def program(i: int) -> str:
    return f"def f{i}(a):\n    return a + {i}"


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def verdict(status: str) -> dict[str, Any]:
    return {"unit_tests": {"status": status, "passed": status == "pass"}}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Ten programs ran, six passed, five rows are left; two of them are one task by two names."""
    numbers = [1, 1, 2, 3, 4]
    rows = [
        {"output": f"```python\n{program(n).replace('f1', name)}\n```", "verdicts": verdict("pass")}
        for n, name in zip(numbers, ["f1", "other", "f1", "f1", "f1"], strict=True)
    ]
    write(tmp_path / "dataset" / "data" / "train.parquet", rows)
    ran = ["pass"] * 6 + ["fail"] * 3 + ["error"]
    first = [{"id": str(i), "verdicts": verdict(status)} for i, status in enumerate(ran)]
    write(tmp_path / "shards" / "00-00" / "a.parquet", first)
    write(tmp_path / "shards" / "00-01" / "b.parquet", first[:6])  # the same rows, further on
    return tmp_path


def test_a_run_is_measured_by_rows_tasks_novelty_and_verdicts(finished: Path) -> None:
    assert measure(finished, {tree_hash(program(3)), tree_hash(program(9))}) == {
        "rows": 5,
        "verified": 5,
        "distinct_tasks": 4,
        "distinct_rate": 0.8,
        "distinct_shapes": 1,
        "novel_rate": 0.8,
        "programs_run": 10,
        "pass_rate": 0.6,
        "statuses": {"pass": 6, "fail": 3, "error": 1},
    }


@pytest.mark.parametrize(
    ("short", "told"),
    [
        ({"novel_rate": 0.29}, "novel_rate is 0.29, not 0.3 to 1.0"),
        ({"pass_rate": 0.09}, "pass_rate is 0.09, not 0.1 to 0.9"),
        ({"pass_rate": 0.91}, "pass_rate is 0.91, not 0.1 to 0.9"),
        ({"distinct_rate": 0.59}, "distinct_rate is 0.59, not 0.6 to 1.0"),
    ],
)
def test_a_rate_beyond_its_limit_is_named(short: dict[str, float], told: str) -> None:
    assert shortfalls(GOOD) == []
    assert shortfalls({**GOOD, "pass_rate": 0.9}) == []
    assert shortfalls({**GOOD, **short}) == [told]


def test_only_the_whole_demo_is_held_to_its_counts() -> None:
    small = {**GOOD, "verified": 99, "distinct_tasks": 59}
    assert shortfalls(small) == []
    assert len(shortfalls(small, full=True)) == 2
    assert shortfalls({**small, "verified": 100, "distinct_tasks": 60}, full=True) == []


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--full"], 1)])
def test_the_command_ends_with_json_and_fails_below_the_limits(
    finished: Path, options: list[str], code: int
) -> None:
    command = [sys.executable, str(ROOT / "tools" / "demo_yield.py"), str(finished), *options]
    environment = {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert json.loads(done.stdout.splitlines()[-1])["novel_rate"] == 1.0
    assert ("verified is 5, not 100" in done.stderr) is bool(code)
