"""Prometheus metrics of a run, served on this machine alone for as long as it lasts.

They are the look that the progress line shows and the counts that `status` reads: nothing is
counted a second time, and no text of a row is among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.commands.bar import Tell
from gristmill.commands.status import COUNTS, so_far
from gristmill.engines.progress import Progress
from gristmill.errors import RequirementError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

HOST = "127.0.0.1"
PREFIX = {
    "measured": ("vllm:prefix_cache_hits", "vllm:prefix_cache_queries"),
    "planned": ("planner:shared_characters", "planner:prompt_characters"),
}
"""Both kinds of hit rate: what was shared, and of how much."""


@contextmanager
def exporting(
    port: int | None, run: Path, note: Callable[[str], None], shown: Tell | None
) -> Iterator[Tell | None]:
    """Serve the metrics of a run on a port, 0 for any, while the body runs; None serves nothing.

    Yields who takes the looks: ours and `shown`.

    Raises:
        RequirementError: The port is taken, or not ours to take.
    """
    if port is None:
        yield shown
        return
    from prometheus_client import CollectorRegistry, start_http_server

    metrics, registry = Metrics(run), CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, HOST, registry)
    except OSError as error:
        raise RequirementError(
            f"--metrics-port {port} cannot be used on {HOST}: {error.strerror}; name another, or "
            "0 for any that is free"
        ) from error
    note(f"metrics: http://{HOST}:{server.server_port}/metrics")

    def tell(now: Progress) -> None:
        metrics.now = now
        if shown:
            shown(now)

    try:
        yield tell
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Metrics:
    """Turns the last look at a run, and its finished shards, into metrics when somebody asks."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.now: Progress | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield everything that is known."""
        from prometheus_client.core import GaugeMetricFamily

        stages = GaugeMetricFamily(
            "gristmill_stage_rows", "Rows in finished shards.", labels=("stage", "end")
        )
        for told in so_far(self.run):
            for end in COUNTS:
                stages.add_metric((told["stage"], end), told[end])
        yield stages
        if self.now:
            yield from _rows(self.now)
            yield from _roles(self.now)
            yield from _engines(self.now)


def _rows(now: Progress) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily("gristmill_run_seconds", "Since the run began.", now.wall_s)
    where = ("unit", "wave")
    for name, what, value in (
        ("gristmill_unit_rows", "Rows of the stages under way.", now.rows_total),
        ("gristmill_unit_rows_done", "Those that went through.", now.rows_done),
    ):
        family = GaugeMetricFamily(name, what, labels=where)
        family.add_metric((now.unit, str(now.wave)), value)
        yield family


def _roles(now: Progress) -> Iterator[Metric]:
    """Yield what every role asked."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    role = ("role",)
    answers = CounterMetricFamily("gristmill_answers", "Answers.", labels=("role", "source"))
    tokens = CounterMetricFamily("gristmill_tokens", "Tokens of answers made.", labels=role)
    waiting = GaugeMetricFamily("gristmill_requests_waiting", "Without an answer.", labels=role)
    busy = CounterMetricFamily("gristmill_busy_seconds", "With requests to answer.", labels=role)
    rate = GaugeMetricFamily("gristmill_busy_rate", "Their share of the run, 0 to 1.", labels=role)
    for name, told in now.engines.items():
        answers.add_metric((name, "engine"), told["made"])
        answers.add_metric((name, "store"), told["replayed"])
        tokens.add_metric((name,), told["tokens"])
        waiting.add_metric((name,), told["waiting"])
        busy.add_metric((name,), told["busy_s"])
        rate.add_metric((name,), min(1.0, told["busy_s"] / max(now.wall_s, 1e-9)))
    yield from (answers, tokens, waiting, busy, rate)


def _engines(now: Progress) -> Iterator[Metric]:
    """Yield what engines count themselves, by their own names, and the hit rates of prefixes."""
    from prometheus_client.core import GaugeMetricFamily, UntypedMetricFamily

    own: dict[str, UntypedMetricFamily] = {}
    hits = GaugeMetricFamily(
        "gristmill_prefix_hit_rate", "Of prompts' beginnings, 0 to 1.", labels=("role", "kind")
    )
    for role, told in now.engines.items():
        for name in (name for name in told if ":" in name):
            family = own.setdefault(
                name, UntypedMetricFamily(name, "As the engine counts it.", labels=("role",))
            )
            family.add_metric((role,), told[name])
        for kind, (shared, whole) in PREFIX.items():
            if told.get(whole):
                hits.add_metric((role, kind), told[shared] / told[whole])
    yield from (*own.values(), hits)
