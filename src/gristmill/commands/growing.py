"""What `run --grow` says of the dataset that grows."""

from __future__ import annotations

import argparse
from typing import Any

from gristmill.commands.bar import watching
from gristmill.commands.screen import Screen
from gristmill.flows.order import Order
from gristmill.pipelines.workspace import Prepared
from gristmill.text.plurals import counted


def amended(order: Order, screen: Screen) -> Prepared:
    """Check an order; a dataset that grows obeys its marks first, which may ask models."""
    base = order.prepare()
    if order.grow:
        with watching(screen) as progress:
            order.amend(base, progress)
    return base


def grown(order: Order, prepared: Prepared) -> dict[str, Any] | None:
    """Return where the dataset that grows stands; None without one."""
    from gristmill.publishing.changelog import versions
    from gristmill.publishing.files import RunFiles

    folder = order.grown(prepared)
    if not order.grow or not (folder / "ledger.json").exists():
        return None
    return {"folder": str(folder), **versions(RunFiles.open(folder))[-1]}


def tell_grown(
    found: dict[str, Any] | None, told: dict[str, Any], args: argparse.Namespace, screen: Screen
) -> int:
    """Say where a dataset that grows stands, behind what else is told; return the exit code."""
    if args.json:
        screen.result({**told, **({"grown": found} if found else {})})
    elif found:
        n = f"{counted(found['diff']['added'])} added to make {found['rows']:,}"
        if gone := found["diff"]["removed"]:
            n = f"{counted(gone)} taken out, {n}"
        screen.line(f"{'grown':8} {found['folder']} is at v{found['version']}: {n}")
    return 0
