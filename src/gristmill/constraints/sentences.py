"""Count sentences and capital words as the public IFEval checker does, without its data files.

Source: Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection", Computational
Linguistics 32(4), 2006 (Punkt: what a period may mean, sections 3 and 4); the conventions of the
Penn Treebank for words.
Differs from the paper: the abbreviations and the words that begin sentences are short lists of our
own, where Punkt learns them from newspapers. Everything is linear in the length of the text.
"""

from __future__ import annotations

import re
from itertools import filterfalse

END = re.compile(r"[.?!](?=([)\";}\]*:@'({\[?!])|\s+(\S{1,24}))")
"""A mark that may end a sentence, and what follows: another mark, or the next word's beginning."""
SPACE = re.compile(r"\s")
CLOSING = re.compile(r"\s*[\"')\]}]+(?:\s+|$)")
"""Quotes and brackets that still belong to the sentence before."""
MARKS = re.compile(r"[()\";}\]*:@'{\[?!]")
NUMBER = re.compile(r"-?[.,]?\d[\d,.-]*$")
LONGEST_WORD = 40
"""Characters before a period that are looked at; no abbreviation is longer."""

SHORT = """
    a.m p.m e.g i.e u.s u.k u.n u.s.a d.c l.a n.y b.c a.d ph.d m.d b.a m.a b.s m.s p.s p.p.s
    dr mr mrs ms messrs prof rev hon gen col lt sgt capt maj adm gov sen rep st jr sr
    vs etc al cf viz ca approx est dept univ assn bros co corp inc ltd
    jan feb mar apr jun jul aug sept sep oct nov dec mon tues wed thurs fri
    ave blvd rd ft mt fig vol
"""
OPENING = """
    the this that these those there then they he she it we you his her its our my your their
    in on at by for from to of with as after before during while when where why how who what
    a an and but or so if because although though since until however moreover furthermore
    also not no some many most all each every both another such here now today one
"""
ABBREVIATIONS = frozenset(SHORT.split())
STARTERS = frozenset(OPENING.split())
"""Words that are capitals only because a sentence begins."""

PIECE = re.compile(r"[«\u201c\u2018„`»\u201d\u2019\";@#$%&?!*\[\](){}<>]+|[:,](?!\d)|\.{2,}|--")
"""What, with blanks, stands between the words of the Treebank."""
EDGES = '.,:;!?*()[]"-#'
"""Marks around a word that change neither its case nor the number of its parts."""
CASES = bytes(
    32 if chr(i).isspace() else 97 if chr(i).islower() else 65 if chr(i).isupper() else 46
    for i in range(128)
).ljust(256, b"A")
"""Letters of ASCII as `a` and `A`, blanks, all else a period; what is not ASCII may be anything."""
MANY = 20
"""Of so many characters one is a capital where looking for them is no faster."""
SUFFIX = re.compile(r"(?:'[smd]|'ll|'re|'ve|n't|')$", re.IGNORECASE)
TWO_WORDS = frozenset({"CANNOT", "GIMME", "GONNA", "GOTTA", "LEMME", "WANNA", "'TIS", "'TWAS"})


def count_sentences(text: str) -> int:
    """Return the number of sentences; a text that is not blank has at least one."""
    count, end, seen, is_over = 0, 0, 0, False
    for mark in END.finditer(text):
        if is_over and SPACE.search(text, seen, mark.start()):
            is_over = False  # another word
        seen = mark.end()
        if is_over:
            end = seen
        elif _ends(text, mark):
            count, end, is_over = count + 1, seen, True
    closing = CLOSING.match(text, end) if end else None
    return count + bool(text[closing.end() if closing else end :].strip())


def _ends(text: str, mark: re.Match[str]) -> bool:
    """Say whether a mark ends its sentence."""
    place = mark.start()
    if text[place] != ".":
        return True
    first = max(0, place - LONGEST_WORD)
    word = text[max(first, text.rfind(" ", first, place) + 1) : place].lower()
    if not word.isalpha():
        word = "" if word[-1:].isspace() else MARKS.split(word.split()[-1])[-1] if word else ""
    if word.isalpha() and len(word) > 1 and word not in ABBREVIATIONS:
        return True  # the common case first
    following = mark[1] or mark[2] or ""
    begins = following[0].isupper() and following.strip(",:;'\"").lower() in STARTERS
    if word.endswith("."):
        return begins
    if len(word) == 1 and word.isalpha():
        return begins or not (following[0].isupper() or _continues(following))
    if word in ABBREVIATIONS or word.rpartition("-")[2] in ABBREVIATIONS:
        return begins
    return not (NUMBER.match(word) and _continues(following))


def _continues(following: str) -> bool:
    """Say whether a sentence goes on here, when the period may belong to a number or initial."""
    return following[0].islower() or following[0] in ";:,.!?"


def count_capital_words(text: str) -> int:
    """Return the number of Treebank words that are all capitals: `IT'S` has two."""
    words = (word.strip(EDGES) for word in filterfalse(str.islower, _suspects(text)))
    return sum(
        word.isupper()
        if word.isalpha() and word not in TWO_WORDS
        else sum(map(_capitals, PIECE.split(word)))
        for word in words
        if word
    )


def _suspects(text: str) -> list[str]:
    """Return the words with a capital that no small letter follows, and perhaps some more."""
    raw = text.encode("utf-8", "surrogatepass")
    cases = raw.replace(b"n't", b"N'T").translate(CASES).replace(b"Aa", b"aa")
    if cases.count(b"A") > len(cases) // MANY:
        return text.split()
    found, at = list[str](), cases.find(b"A")
    while at >= 0:
        end = cases.find(b" ", at)
        end = len(cases) if end < 0 else end
        word = raw[cases.rfind(b" ", 0, at) + 1 : end]
        found += word.decode("utf-8", "surrogatepass").split()
        at = cases.find(b"A", end)
    return found


def _capitals(piece: str) -> int:
    if "'" in piece and (found := SUFFIX.search(piece, 1)):
        return piece[: found.start()].isupper() + found[0].isupper()
    return piece.isupper() * (2 if piece in TWO_WORDS else 1)
