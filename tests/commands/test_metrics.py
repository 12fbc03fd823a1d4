"""Metrics of a run, as Prometheus reads them: over HTTP, from a run that is at work."""

import io
import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gristmill.cli import main
from gristmill.commands.metrics import exporting
from gristmill.engines.progress import Progress

BARE = ("--local", "--no-prefect")


def scraped(url: str) -> dict[tuple[str, ...], float]:
    """Return the samples by name and labels, in the order of the labels' names."""
    with urllib.request.urlopen(url, timeout=10) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = reply.read().decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_run_at_work_tells_rows_tokens_rates_queue_and_how_busy_its_engines_are(place) -> None:
    said: list[str] = []
    first = {**dict.fromkeys(("made", "replayed"), 0.0), "tokens": 0.0, "waiting": 8, "busy_s": 0}
    counts = {"vllm:prefix_cache_queries": 200.0, "vllm:prefix_cache_hits": 150.0}
    plan = {"planner:prompt_characters": 100.0, "planner:shared_characters": 80.0}
    judge = {"made": 3, "replayed": 1, "tokens": 90, "waiting": 0, "busy_s": 1.0, **counts, **plan}
    engines = {"generator": first, "judge": judge}
    seen: list[Progress] = []
    with exporting(0, place / "runs" / "none", said.append, seen.append) as tell:
        url = said[0].removeprefix("metrics: ")
        assert scraped(url) == {}, "nothing is known yet"
        assert tell is not None
        tell(Progress('say "hi"\n', 2, 5, 9, 0, 90, 3, 1, 4.0, 1.0, engines))
        found = scraped(url)
    assert len(seen) == 1
    assert found["gristmill_run_seconds",] == 4
    assert found["gristmill_unit_rows_done", 'say "hi"\n', "2"] == 5
    assert found["gristmill_unit_rows", 'say "hi"\n', "2"] == 9
    assert found["gristmill_answers_total", "judge", "engine"] == 3
    assert found["gristmill_answers_total", "judge", "store"] == 1
    assert found["gristmill_tokens_total", "judge"] == 90
    assert found["gristmill_requests_waiting", "generator"] == 8
    assert found["gristmill_busy_rate", "judge"] == 0.25
    assert found["gristmill_busy_seconds_total", "generator"] == 0
    assert found["gristmill_prefix_hit_rate", "measured", "judge"] == 0.75
    assert found["gristmill_prefix_hit_rate", "planned", "judge"] == 0.8
    assert found["vllm:prefix_cache_hits", "judge"] == 150
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)


def test_no_port_serves_nothing_and_keeps_who_is_told() -> None:
    said: list[str] = []
    with exporting(None, Path(), said.append, said.append) as tell:
        assert tell == said.append
    assert not said


def test_a_scripted_run_is_scraped_while_it_runs(place, capfd, monkeypatch) -> None:
    found: list[dict[tuple[str, ...], float]] = []
    seen: list[str] = []

    class Err(io.StringIO):
        def write(self, text: str) -> int:
            if text.startswith("metrics: "):
                seen.append(text.removeprefix("metrics: ").strip())
            elif seen and "rows/s" in text:
                found.append(scraped(seen[0]))
            return super().write(text)

    monkeypatch.setattr("gristmill.commands.bar.EVERY_S", 0.0)
    monkeypatch.setattr("sys.stderr", Err())
    slow = ("--set", "engines.generator.max_delay_s=1.2")
    assert main(["run", "tiny.yaml", *slow, "--metrics-port", "0", *BARE]) == 0
    last: Any = found[-1]
    assert last["gristmill_answers_total", "generator", "engine"] == 20
    assert last["gristmill_requests_waiting", "generator"] == 0
    assert last["gristmill_stage_rows", "kept", "length"] == 10
    assert last["gristmill_stage_rows", "rejected", "length"] == 10
    assert last["gristmill_stage_rows", "kept", "longest"] == 6
    waiting = [look.get(("gristmill_requests_waiting", "generator"), 0) for look in found]
    assert 0 < max(waiting) <= 20
    assert all(0 <= look.get(("gristmill_busy_rate", "generator"), 0) <= 1 for look in found)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(seen[0], timeout=10)


def test_a_port_that_is_taken_is_one_message_before_anything_runs(place, call) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, _, err = call("run", "tiny.yaml", "--metrics-port", port, *BARE)
    assert code == 2
    assert f"--metrics-port {port} cannot be used on 127.0.0.1: Address already in use" in err
    assert "Traceback" not in err
    assert not (place / "runs").exists()
    assert call("run", "tiny.yaml", "--metrics-port", "70000")[0] == 2
