"""Families of tasks that keep, change and gather: numbers, letters, words, and programs on text."""

from __future__ import annotations

import random
from collections.abc import Callable

from demo_model.made import Made, lists, texts, wordlists
from demo_model.pieces import TABLES, Piece, Table, piece

KEEPS, CHANGES = TABLES["keeps"], TABLES["changes"]
LETTERS, LETTER_CHANGES = TABLES["letters"], TABLES["letter_changes"]
WORDS, WORD_CHANGES = TABLES["words"], TABLES["word_changes"]
GATHERS, TEXT_GATHERS = TABLES["gathers"], TABLES["text_gathers"]
Family = Callable[[random.Random], Made]
ARGS = {
    "number": ("values", "numbers", "items", "nums"),
    "letter": ("text", "word", "s"),
    "word": ("words", "names", "tokens"),
}


def steps(
    rng: random.Random, thing: str, keeps: Table, changes: Table, x: str
) -> tuple[Piece | None, Piece | None, str]:
    """Draw up to two steps and say in words what they leave."""
    n = rng.choice((0, 1, 1, 1, 2, 2))
    keep = piece(rng, keeps, x) if n == 2 or (n == 1 and rng.random() < 0.55) else None
    change = piece(rng, changes, x) if n == 2 or (n == 1 and keep is None) else None
    said = f"the {thing}s"
    if keep:
        how = rng.choice(keep.words)
        said += (
            f" {how}" if thing == "word" else rng.choice((f" that are {how}", f" which are {how}"))
        )
    if change:
        said += rng.choice((", each ", " ", ", all ")) + rng.choice(change.words)
        if not keep and rng.random() < 0.5:
            said = f"every {thing} " + rng.choice(change.words)
    return keep, change, said


def gathered(
    rng: random.Random,
    thing: str,
    drawn: tuple[Piece | None, Piece | None, str],
    gather: str,
    table: Table,
    x: str,
) -> Made:
    """Write the function that applies the steps and gathers what is left."""
    keep, change, said = drawn
    code, words_, verb = table[gather]
    n, p = rng.randint(2, 3), rng.choice("-+*./ ,:")
    arg = rng.choice(ARGS[thing])
    value = change.code if change else x
    test = f" if {keep.code}" if keep else ""
    inner = f"{value} for {x} in {arg}{test}"
    fill = {"n": n, "p": p}
    if rng.random() < 0.45 and gather != "first":
        body = ["result = []", f"for {x} in {arg}:"]
        pad = "    "
        if keep:
            body.append(f"{pad}if {keep.code}:")
            pad += "    "
        body.append(f"{pad}result.append({value})")
        whole = code.replace("[{}]", "{}").replace("(({}),", "({},")
        body.append("return " + whole.format("result", **fill))
    else:
        body = ["return " + code.format(inner, **fill)]
    ends = [step.stem for step in (keep, change) if step] or [f"{thing}s"]
    stem = "_".join([gather, *ends])
    return Made(
        stem=stem,
        does="returns " + words_.format(said, **fill),
        body=body,
        say=f"{verb} {said}",
        args=(arg,),
        steps=1 + bool(keep) + bool(change),
    )


def numbers(gather: str) -> Family:
    """Return the family of number pipelines with one way to gather."""

    def family(rng: random.Random) -> Made:
        x = rng.choice(("x", "n", "v"))
        made = gathered(rng, "number", steps(rng, "number", KEEPS, CHANGES, x), gather, GATHERS, x)
        made.cases = lists(rng)
        return made

    return family


def characters(gather: str) -> Family:
    """Return the family of letter pipelines with one way to gather."""

    def family(rng: random.Random) -> Made:
        x = rng.choice(("c", "ch", "x"))
        drawn = steps(rng, "character", LETTERS, LETTER_CHANGES, x)
        made = gathered(rng, "letter", drawn, gather, TEXT_GATHERS, x)
        cased = drawn[0] and ("upper" in drawn[0].code or "lower" in drawn[0].code)
        cased = cased or (drawn[1] and "swapcase" in drawn[1].code)
        mixed = "ABCDEF" * 2 if cased else "3759" if drawn[0] and "digit" in drawn[0].code else ""
        made.cases = texts(rng, mixed)
        return made

    return family


def tokens(gather: str) -> Family:
    """Return the family of word pipelines with one way to gather."""

    def family(rng: random.Random) -> Made:
        x = rng.choice(("w", "word", "x"))
        keep, change, said = steps(rng, "word", WORDS, WORD_CHANGES, x)
        if (
            change
            and change.stem == "length"
            and gather in ("join", "split", "longest", "first", "back")
        ):
            change, said = None, said.split(",")[0] if keep else "the words"
        made = gathered(rng, "word", (keep, change, said), gather, TEXT_GATHERS, x)
        made.cases = wordlists(rng)
        return made

    return family


FAMILIES = {
    **{f"numbers_{g}": numbers(g) for g in GATHERS},
    **{f"characters_{g}": characters(g) for g in TEXT_GATHERS if g not in ("longest",)},
    **{f"words_{g}": tokens(g) for g in TEXT_GATHERS},
}
