"""What arguments of the command line may be; argparse shows what is said of any other."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """Return a whole number above 0."""
    if not text.replace("_", "").isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found '{text}'")
    return int(text)


def port(text: str) -> int:
    """Return a port, 0 for any that is free."""
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found '{text}'")
    return int(text)


def pair(text: str) -> tuple[str, str]:
    """Return both sides of an equation."""
    ours, equals, theirs = text.partition("=")
    if not (ours and equals and theirs):
        raise argparse.ArgumentTypeError(f"expected COLUMN=YOURS as output=answer, found '{text}'")
    return ours, theirs
