"""Families of tasks that judge elements (count, decide, split, replace), and programs on text."""

from __future__ import annotations

import random

from demo_model.made import Made, letters, lists, texts, wordlists
from demo_model.pieces import piece
from demo_model.pipelines import ARGS, CHANGES, KEEPS, LETTERS, WORD_CHANGES, WORDS, Family, steps


def counting(rng: random.Random) -> Made:
    """Count the elements that meet a condition, in numbers, letters or words."""
    thing, table = rng.choice((("number", KEEPS), ("character", LETTERS), ("word", WORDS)))
    arg = rng.choice(ARGS["letter" if thing == "character" else thing])
    keep = piece(rng, table, "x")
    how = rng.choice(keep.words)
    said = f"{thing}s {how}" if thing == "word" else f"{thing}s that are {how}"
    body = rng.choice(
        (
            [f"return sum(1 for x in {arg} if {keep.code})"],
            [f"return len([x for x in {arg} if {keep.code}])"],
            [
                "count = 0",
                f"for x in {arg}:",
                f"    if {keep.code}:",
                "        count += 1",
                "return count",
            ],
        )
    )
    cases = (
        lists(rng)
        if thing == "number"
        else texts(rng, "ABC37")
        if thing == "character"
        else wordlists(rng)
    )
    does = rng.choice(
        (
            f"counts the {said}",
            f"returns the number of {said}",
            f"returns how many {said} there are",
        )
    )
    return Made(f"count_{keep.stem}", does, body, f"Count the {said}", (arg,), cases, 2)


def deciding(rng: random.Random) -> Made:
    """Say whether any, all or none of the elements meet a condition."""
    thing, table = rng.choice((("number", KEEPS), ("character", LETTERS), ("word", WORDS)))
    arg = rng.choice(ARGS["letter" if thing == "character" else thing])
    keep = piece(rng, table, "x")
    how = rng.choice(keep.words)
    which = rng.choice(("any", "all", "no"))
    call = "not any" if which == "no" else which
    body = rng.choice(
        (
            [f"return {call}({keep.code} for x in {arg})"],
            [
                f"for x in {arg}:",
                f"    if {keep.code if which != 'all' else f'not ({keep.code})'}:",
                f"        return {which == 'any'}",
                f"return {which != 'any'}",
            ],
        )
    )
    are = {"any": f"at least one {thing} is", "all": f"all {thing}s are", "no": f"no {thing} is"}[
        which
    ]
    if thing == "word":
        are = {"any": "there are words", "all": "there are only words", "no": "there are no words"}[
            which
        ]
    cases = (
        lists(rng)
        if thing == "number"
        else texts(rng, "ABC37")
        if thing == "character"
        else wordlists(rng)
    )
    return Made(
        f"{which}_{keep.stem}",
        f"returns whether {are} {how}",
        body,
        f"Check whether {are} {how}",
        (arg,),
        cases,
        2,
    )


def splitting(rng: random.Random) -> Made:
    """Split numbers or words into two lists by a condition."""
    thing, table = rng.choice((("number", KEEPS), ("word", WORDS)))
    arg = rng.choice(ARGS[thing])
    keep = piece(rng, table, "x")
    how = rng.choice(keep.words)
    said = f"the {thing}s {how}" if thing == "word" else f"the {thing}s that are {how}"
    body = rng.choice(
        (
            [
                f"yes = [x for x in {arg} if {keep.code}]",
                f"no = [x for x in {arg} if not ({keep.code})]",
                "return yes, no",
            ],
            [
                "yes, no = [], []",
                f"for x in {arg}:",
                f"    if {keep.code}:",
                "        yes.append(x)",
                "    else:",
                "        no.append(x)",
                "return yes, no",
            ],
        )
    )
    cases = lists(rng) if thing == "number" else wordlists(rng)
    return Made(
        f"split_{keep.stem}",
        f"returns two lists: {said}, and all the others",
        body,
        f"Put {said} in one list and the others in another",
        (arg,),
        cases,
        2,
    )


def replacing(rng: random.Random) -> Made:
    """Change only the elements that meet a condition."""
    keep, change = piece(rng, KEEPS, "x"), piece(rng, CHANGES, "x")
    arg = rng.choice(ARGS["number"])
    how, what = rng.choice(keep.words), rng.choice(change.words)
    body = rng.choice(
        (
            [f"return [{change.code} if {keep.code} else x for x in {arg}]"],
            [
                "result = []",
                f"for x in {arg}:",
                f"    if {keep.code}:",
                f"        x = {change.code}",
                "    result.append(x)",
                "return result",
            ],
        )
    )
    does = f"returns the numbers, where those that are {how} are {what}"
    return Made(
        f"change_{keep.stem}_{change.stem}",
        does,
        body,
        f"Change only the numbers that are {how}",
        (arg,),
        lists(rng),
        3,
    )


def program(rng: random.Random) -> Made:
    """A program on text: read numbers or words, take steps, write text."""
    sep, word = rng.choice(
        (
            (",", "commas"),
            (" ", "spaces"),
            (";", "semicolons"),
            ("\\n", "line breaks"),
            ("-", "dashes"),
            (":", "colons"),
        )
    )
    numeric = rng.random() < 0.6
    thing = "number" if numeric else "word"
    keep, change, said = steps(
        rng, thing, KEEPS if numeric else WORDS, CHANGES if numeric else WORD_CHANGES, "x"
    )
    arg = rng.choice(("text", "line", "data"))
    split = f"{arg}.split('{sep}')" if sep != " " else f"{arg}.split()"
    read = f"[int(part) for part in {split}]" if numeric else split
    inner = (
        (change.code if change else "x") + " for x in parts" + (f" if {keep.code}" if keep else "")
    )
    out = rng.choice(
        ("+", " ", "/", "|", "-", "sum", "count", "largest")
        if numeric
        else ("+", " ", "/", "|", "-", "count")
    )
    if out == "sum":
        end, what = (
            f"return 'sum: ' + str(sum({inner}))",
            f"returns 'sum: N', where N is the sum of {said}",
        )
    elif out == "largest":
        end, what = (
            f"return 'max: ' + str(max(({inner}), default=0))",
            f"returns 'max: N', where N is the largest of {said}, or 0",
        )
    elif out == "count":
        end, what = (
            f"return 'count: ' + str(len([{inner}]))",
            f"returns 'count: N', where N is the number of {said}",
        )
    else:
        each = (
            f"str({change.code if change else 'x'})" + inner[len(change.code if change else "x") :]
        )
        end, what = f"return '{out}'.join({each})", f"returns {said}, joined by '{out}'"
    name = rng.choice(("main", "run", "process"))
    does = f"reads {thing}s separated by {word} from a string and {what}"
    inputs = [
        [
            str(rng.randint(0, 9)) if numeric else rng.choice(letters(rng, 2, 4).split() or ["ab"])
            for _ in range(rng.randint(1, 3))
        ]
        for _ in range(5)
    ]
    glue = "\n" if sep == "\\n" else sep
    return Made(
        name,
        does,
        [f"parts = {read}", end],
        f"Split the text, then take {said}",
        (arg,),
        [(glue.join(i),) for i in inputs],
        1 + bool(keep) + bool(change),
        "program",
    )


FAMILIES = {
    "counting": counting,
    "deciding": deciding,
    "splitting": splitting,
    "replacing": replacing,
}
PROGRAMS: dict[str, Family] = {"program": program}
