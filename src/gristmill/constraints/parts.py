"""Which parts of a response a constraint is about: all of it, its reasoning, or each of its pieces.

Sources: Kwon et al., "ReasonIF", arXiv:2510.15211, section 3 (the reasoning alone is judged);
Ye et al., arXiv:2505.07591 (constraints on each cell, bullet, line or paragraph).
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Literal

Scope = Literal["response", "reasoning", "each_paragraph", "each_line", "each_bullet", "each_cell"]

OPENED, CLOSED = "<think>", "</think>"
ENDS = ("<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<end_of_turn>", "</s>")
"""What models say when they have ended, where an engine shows it."""
BULLET = re.compile(r"[^\S\n]*(?:[*+-]|\d{1,9}[.)])[^\S\n]+(\S.*)")
RULE = re.compile(r":?-+:?")


def parts_of(text: str, scope: Scope) -> list[str]:
    """Return the parts that are judged, without blank ones; every one has to pass."""
    if scope == "response":
        return [text]
    lines = text.split("\n")
    if scope == "reasoning":
        parts = [reasoning_of(text)]
    elif scope == "each_line":
        parts = lines
    elif scope == "each_bullet":
        parts = [found[1] for found in map(BULLET.match, lines) if found]
    elif scope == "each_cell":
        parts = [cell for table in tables_of(text) for row in table[1:] for cell in row]
    else:
        pieces = groupby(lines, lambda line: bool(line.strip()))
        parts = ["\n".join(piece) for has_text, piece in pieces if has_text]
    return [part for part in parts if part.strip()]


def reasoning_of(text: str) -> str:
    """Return what stands before `</think>`; nothing where a template has hidden it."""
    before, closed, _ = text.partition(CLOSED)
    _, opened, inside = before.partition(OPENED)
    return (inside if opened else before) if closed else ""


def answer_of(text: str) -> str:
    """Return what stands after the reasoning, without marks of its end; "" where that never ends.

    As in MulDimIF's reward: reasoning meets no constraint that is on the response.
    """
    _, closed, answer = text.rpartition(CLOSED)
    if not closed and text.lstrip().startswith(OPENED):
        return ""
    end = at = len(answer)
    while at:
        if answer[at - 1].isspace():
            at -= 1
        elif mark := next((one for one in ENDS if answer.endswith(one, 0, at)), ""):
            end = at = at - len(mark)
        else:
            break
    return answer[:end]


def tables_of(text: str) -> list[list[list[str]]]:
    """Return the Markdown tables, each as rows of cells; the first row is the head."""
    tables: list[list[list[str]]] = []
    above: list[str] = []
    is_inside = False
    for cells in map(_cells, text.split("\n")):
        if is_inside and cells:
            tables[-1].append(cells)
        elif above and len(cells) == len(above) and all(map(RULE.fullmatch, cells)):
            tables.append([above])
            is_inside = True
        else:
            is_inside = False
        above = cells
    return tables


def _cells(line: str) -> list[str]:
    """Return the cells of a line of a table; none where it is no such line."""
    body = line.strip()
    if "|" not in body:
        return []
    return [cell.strip() for cell in body.removeprefix("|").removesuffix("|").split("|")]
