"""forecast: a sample, a table, and afterwards the report that compares it with the run."""

import json
import re

import pytest

from gristmill.publishing.files import RunFiles
from gristmill.publishing.spent import compare

BARE = ("--local", "--no-prefect")


@pytest.fixture
def many(place):
    lines = [json.dumps({"instruction": f"Explain topic {i}."}) for i in range(200)]
    (place / "seeds.jsonl").write_text("\n".join(lines))


def test_a_forecast_is_kept_and_the_report_compares_it_with_the_run(call, place, many) -> None:
    code, out, _ = call("forecast", "tiny.yaml", "--target", "60", *BARE)
    assert code == 0
    assert "forecast from 10 of 200 seeds" in out
    assert re.search(r"(?m)^rows +6 +6 +6 +rows$", out), out
    assert "not covered: longest: they see all rows at once" in out
    sample = place / ".gristmill" / "forecast"
    kept = json.loads(next(sample.glob("tiny-*/forecast.json")).read_text())
    assert (kept["sampled"], kept["aim"]["target"]) == (10, 60)
    seeds = kept["figures"]["seeds"]
    assert seeds["low"] <= 32 <= seeds["high"], "20 of 40 rows, then the rest of 60 x 1.1"

    told = json.loads(
        call("run", "tiny.yaml", "--target", "60", *BARE, "--json")[1].splitlines()[-1]
    )
    assert told["calls"]["replayed"] >= 20, "the sample's answers are used again"
    (run,) = (place / "runs").iterdir()
    lines, remark = compare(RunFiles.open(run))
    found = {line.figure: line for line in lines}
    assert found["tokens"].fact == told["tokens"] == found["read"].fact + found["written"].fact
    assert found["answers"].fact == sum(told["calls"].values())
    assert [found[n].is_inside for n in ("seeds", "rows", "answers", "tokens")] == [True] * 4
    assert {"wall_s", "disk_bytes", "peak_bytes", "kept by length"} <= found.keys()
    assert remark.startswith("From a sample of 10 seeds; ")
    page = (run / "report.html").read_text()
    section = page.partition("<h2>Forecast and fact</h2>")[2].partition("</section>")[0]
    facts = re.findall(
        r'<td class="right">((?:<a [^>]*>)?[^<]*(?:</a>)?)</td><td>(?:in|out)side', section
    )
    assert len(facts) == len(found)
    assert all(fact.startswith('<a href="#') for fact in facts)

    call("run", "tiny.yaml", "--target", "80", *BARE)
    assert compare(RunFiles.open(run))[0] == [], "a forecast for another target"
    assert "not compared" in (run / "report.html").read_text()


def test_what_selectors_leave_out_takes_no_room_in_the_dataset(call, place, many) -> None:
    """Of 10 seeds 6 rows are selected, and of all 200 seeds 6."""
    chosen = ("--set", "export.formats=[messages, alpaca, sharegpt]", *BARE)
    call("forecast", "tiny.yaml", *chosen)
    call("run", "tiny.yaml", *chosen)
    (run,) = (place / "runs").iterdir()
    (disk,) = (one for one in compare(RunFiles.open(run))[0] if one.figure == "disk_bytes")
    assert disk.is_inside, disk
    assert disk.high < 1.3 * disk.low


def test_what_was_stored_before_has_no_speed_so_more_is_asked(call, many) -> None:
    call("preview", "tiny.yaml", *BARE)
    out = call("forecast", "tiny.yaml", *BARE, "--json")[1]
    told = json.loads(out.splitlines()[-1])
    assert told["sampled"] == 20
    assert told["figures"]["wall_s"]["low"] > 0


def test_every_seed_sampled_leaves_nothing_open(call, place) -> None:
    lines = [json.dumps({"instruction": f"Explain topic {i}."}) for i in range(10, 15)]
    (place / "seeds.jsonl").write_text("\n".join(lines))
    told = json.loads(call("forecast", "tiny.yaml", *BARE, "--json")[1].splitlines()[-1])
    for name, fact in (("seeds", 5), ("rows", 6), ("answers", 10), ("kept by length", 5)):
        one = told["figures"][name]
        assert one["low"] == one["expected"] == one["high"] == fact
