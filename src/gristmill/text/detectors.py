"""Detectors: what makes an instruction row useless, found in its text alone.

Each returns the evidence, or None. They were tuned by reading what they found in 9,229 rows of
Alpaca, 2,996 of Dolly, 6,552 of Code Alpaca and 252 answers of a base model: a rule that was wrong
as often as right is not here (any "sorry", a repeated line, a bracketed name in a letter, an answer
without a full stop).
"""

from __future__ import annotations

import re
import zlib

from gristmill.text.fences import fences
from gristmill.text.rare import Rare
from gristmill.text.structure import fold
from gristmill.text.words import words

MIN_DISTINCT = 0.3
"""Share of different runs of four words under which a text loops: 240 of 252 answers of a base
model that does, 2 of 15,781 of instruction-tuned ones. At 0.5 tables and code count as well."""
MIN_LOOP_WORDS = 20
"""A shorter text has too few runs to say."""
MIN_ZLIB = 0.15
"""Compressed size by size under which a text loops."""
MIN_ZLIB_CHARS = 300
"""A shorter text never compresses that far."""

HEADER = 32
"""Bytes by which half of a text may take more than the whole: how its letters are coded."""
SMALL = 2000
"""Bytes up to which a window of 4,096 leaves nothing out."""

MARKER = re.compile(
    r"[<(\[{\\`\"']*\s*(?:no\s?(?:in|out)puts?(?: (?:required|needed))?|n/a)\W*", re.I
)
"""Nothing but a note that there is nothing: `<noinput>`, `No input required.`, `N/A`."""
NO_OUTPUT = re.compile(r"\W*no\s?(?:in|out)put\b(?=\W*$|[.,;:] |\W*\n| because| since)", re.I)
DECLINES = Rare(
    r"""(?ix:^\W*(?:
        (?:i'?m|i\ am|we'?re)?\ ?(?:so\ |very\ )?(?:sorry|afraid)[,.]?\ (?:but\ )?
          (?:that\ )?(?:
            as\ an?\ (?:ai|language)
            |i\ (?:can(?:no|')t|am\ (?:not|un)|do(?:n'|\ no)t\ have)
            |(?:the|this)\ (?:task|request|instruction))
        |as\ an?\ (?:artificial\ intelligence|ai|large\ language|language)\b
        |i\ apologi[sz]e,?\ but\ (?:as|i)\b
        |(?:unfortunately,?\ )?(?:i|we)(?:'m|\ am|'re|\ are)?\ (?:
            cannot|can'?t|unable\ to|not\ able\ to)\ (?:
            help|assist|fulfil+|complete|comply|provide|generate|create|perform|access|answer
            |process|display|set\ up|browse|open|play|draw|produce|engage|do\ that|do\ this)\b
        |(?:this|the)\ (?:task|instruction|request)\ (?:cannot|can'?t)\ be
    ))"""
)
SAYS_CANNOT = Rare(
    r"""(?ix:\b(?:gpt|ai|language)\ (?:language\ )?models?,?\ (?:i\ )?(?:
        cannot|can'?t|(?:am|is)\ (?:not\ able|unable))\b
    |\bcannot\ be\ (?:generated|completed|done|fulfilled|performed|provided)\ by\ (?:
        the|this|an?|any)\ (?:\w+\ )?(?:model|ai)\b)"""
)
NEXT_TASK = Rare(
    r"(?im:^\W*(?:\d+\s?\.\s*(?:instruction|input|output):|<no ?(?:in|out)put>)|<no ?input>)",
    gate="(?i:put>|(?:put|on):)",
)
CONTROL = Rare(
    r"<\|(?:im_start|im_end|im_sep|endoftext|begin_of_text|eot_id|start_header_id|end_of_turn|"
    r"user|assistant|system|end)\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|</s>\s*$"
    r"|(?m:^### ?(?:Instruction|Response|Human|Assistant|User|Input):)",
)
GARBAGE = re.compile(
    "[\ufffd\ud800-\udfff\x00-\x08\x0e-\x1f\x7f]"
    "|\u00c3[\x80-\xbf]|\u00e2\u20ac[\u2122\u0153\u201c\u201d\u02dc\u00a6]"
)
SHOWN = bytes(i for i in range(32, 127)) + b"\t\n\v\f\r"
LINK = r"(?:https?://|www\.)\S+"
IMAGE_ONLY = re.compile(rf"\W*!\[[^\]\n]*\]\({LINK}\W*")
ABOUT_LINKS = re.compile(
    r"\b(?:api|https?|fetch|ur[li]s?|domain|links?|hyperlinks?|parse|scrape|code|program|function|script|shorten|"
    r"download|valid\w*|protocol|quer\w+|web ?address)\b",
    re.I,
)
"""Instructions that can be followed with nothing but a link."""
LINK_ONLY = re.compile(rf"\W*(?:!?\[[^\]\n]*\]\()?{LINK}\W*")
STAND_IN = re.compile(
    r"\W*(?:[\[<({]\s*"
    r"(?:insert|paste|attached?|link to|photo|image|picture|your|example|audio|video)"
    r"\b[^\]>)}\n]{0,60}[\]>)}]"
    r"|(?:attached|insert) (?:image|photo|picture|file|text|document)\w*)\W*",
    re.I,
)
DANGLING = Rare(
    r"\b(?:the|this|these|those) (?:(?:following|attached) [a-z][a-z ,'-]*"
    r"|(?!(?:\w+ )*(?:box|space|field|form) below)(?:[a-z]+ ){1,3}(?:below|attached|that follows?))"
    r"[.?!:]?\s*$",
    gate=r"(?:(?:following|attached) [a-z][a-z ,'-]*|below|attached|follows?)[.?!:]?\s*$",
)
STUB = Rare(
    r"(?i:[\[<]\s*(?:insert|enter|add|fill in|paste)\b[^\]>\n]{0,60}[\]>]"
    r"|\b(?:insert|your) (?:code|logic|solution|implementation|answer|text) (?:goes )?here\b)"
)
"""What somebody was to fill in. A signature `[Your Name]` is none: a letter needs a name."""
RARE_FAULTS = Rare.any_of(DECLINES, SAYS_CANNOT, CONTROL, NEXT_TASK, STUB)
"""What `declines`, `leaks_template` and `stub` find: where it is not, none of them has to look."""
ANSWERS = re.compile(
    r"^\W*(?:(?:sure|certainly|of course|absolutely)(?: thing)?[,!.:]|the (?:final )?answer is\b"
    r"|(?:i'?m|i am) sorry, (?:but )?|as an ai\b)",
    re.I,
)
"""How a reply begins, and nobody who asks: 0 of 18,777 instructions of four public sets do."""


def is_marker(text: str) -> bool:
    """Say whether a text only notes that there is none."""
    return bool(MARKER.fullmatch(text.strip()))


def no_output(text: str) -> str | None:
    """Find an answer that says there is none."""
    return text.strip()[:60] if NO_OUTPUT.match(text) else None


def declines(text: str) -> str | None:
    """Find a refusal, or a model that speaks of what a model cannot do."""
    text = text.replace("\u2019", "'")
    found = DECLINES.search(text) or SAYS_CANNOT.search(text)
    return found[0].strip() if found else None


def loops(text: str) -> str | None:
    """Find an answer that repeats itself, other than code blocks, tables and markup do."""
    evidence = _repeats(text)
    return evidence and _repeats(fold(text, _repeats))


def _repeats(text: str) -> str | None:
    said = words(text)
    n = len(said) - 3
    # Every word begins a run, so that there are no fewer runs than words that differ.
    if len(said) >= MIN_LOOP_WORDS and len(set(said[:n])) / n < MIN_DISTINCT:
        runs = list(zip(said, said[1:], said[2:], said[3:], strict=False))
        rate = len(set(runs)) / len(runs)
        if rate < MIN_DISTINCT:
            return f"{rate:.2f} of its runs of four words differ"
    return _compresses(text)


def _compresses(text: str) -> str | None:
    raw = text.encode(errors="replace")
    if len(raw) < MIN_ZLIB_CHARS or _size(raw[: len(raw) // 2]) - HEADER >= MIN_ZLIB * len(raw):
        return None
    rate = _size(raw) / len(raw)
    return f"compresses to {rate:.2f}" if rate < MIN_ZLIB else None


def _size(raw: bytes) -> int:
    """Return the compressed size; what fits a small window needs no more memory than that."""
    if len(raw) > SMALL:
        return len(zlib.compress(raw))
    to = zlib.compressobj(wbits=12, memLevel=5)
    return len(to.compress(raw)) + len(to.flush())


def leaks_template(text: str) -> str | None:
    """Find signs of a prompt's template, or the next task of a list, in an answer."""
    found = CONTROL.search(text) or NEXT_TASK.search(text)
    return found[0].strip() if found else None


def garbage(text: str) -> str | None:
    """Find characters that no text has: lost in decoding, or decoded twice."""
    if text.isascii() and not text.encode().translate(None, SHOWN):
        return None
    found = GARBAGE.search(text)
    return ascii(found[0]) if found else None


def stands_in(instruction: str, given: str) -> str | None:
    """Find an input that is only a link, or a note of what should stand there."""
    found = STAND_IN.fullmatch(given.strip())
    if not found and (link := LINK_ONLY.fullmatch(given.strip())):
        found = None if ABOUT_LINKS.search(instruction) else link
    return found[0][:80] if found else None


def only_image(text: str) -> str | None:
    """Find an answer that is a link to an image and nothing else."""
    return text.strip()[:80] if "![" in text and IMAGE_ONLY.fullmatch(text.strip()) else None


def dangles(instruction: str) -> str | None:
    """Find an instruction that ends with a reference to something that does not follow."""
    found = DANGLING.search(instruction.strip())
    return found[0] if found else None


def stub(text: str) -> str | None:
    """Find a place that was left to be filled in."""
    found = STUB.search(text)
    return found[0] if found else None


def cut_off(text: str) -> str | None:
    """Find an answer whose last code block is never closed."""
    return "its last code block is never closed" if fences(text) is None else None


def answers(instruction: str) -> str | None:
    """Find an instruction that is a reply: its writer answered instead of asking."""
    found = ANSWERS.match(instruction.replace("\u2019", "'"))
    return found[0].strip() if found else None
