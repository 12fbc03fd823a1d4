"""Detectors: what makes an instruction row useless, found in its text alone.

Each returns the evidence, or None. They were tuned by reading what they found in 9,229 rows of
Alpaca, 2,996 of Dolly, 6,552 of Code Alpaca and 252 answers of a base model: a rule that was wrong
as often as right is not here (any "sorry", a repeated line, a bracketed name in a letter, an answer
without a full stop).
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass

from gristmill.text.fences import fences, fold_fences
from gristmill.text.rare import Rare
from gristmill.text.structure import fold
from gristmill.text.words import SPACED, words

MIN_DISTINCT = 0.3
"""Share of different runs of four words under which a text loops: 240 of 252 answers of a base
model that does, 2 of 15,781 of instruction-tuned ones. At 0.5 tables and code count as well."""
MIN_LOOP_WORDS = 20
"""A shorter text has too few runs to say."""
MIN_ZLIB = 0.15
"""Compressed size by size under which a text loops."""
MIN_ZLIB_CHARS = 300
"""A shorter text never compresses that far."""
WORD_BYTES = 2
"""Compressed size of a word that did not come before, at least: 2.5 in 26,787 real texts, 3.7 in
those of them that loop; less only where somebody counts in long numbers of 0 and 1. Where the
words of a text alone take more, it need not be compressed."""
READ = 200_000
"""Characters of a text that are looked at: a loop is one long before."""
SHORT = 2 * MIN_LOOP_WORDS - 1
"""Characters below which a text has neither so many words nor, in bytes, so much to compress."""

HEADER = 32
"""Bytes by which half of a text may take more than the whole: how its letters are coded."""
SMALL = 2000
"""Bytes up to which a window of 4,096 leaves nothing out."""
CUT = SPACED.ljust(256)

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
PAIR = re.compile(r"(?m)^(Input|Output):")
EXAMPLE = re.compile(r"(?im)^[^\w\n]*(?:\w+[^\w\n]+){0,4}(?:example|sample)s?\b[^.\n]{0,40}$")
"""A line that announces inputs with their outputs: `Example 1:`, `Here are some examples:`."""
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
LINK = r"(?:https?://|www\.)\S++"
IMAGE_ONLY = re.compile(rf"\W*!\[(?!(?:[^\w!]|!(?!\[))*!\[)[^\]\n]*\]\({LINK}\W*")
"""From the last bracket before a word on: from each, a text of nothing else is read anew."""
ABOUT_LINKS = re.compile(
    r"\b(?:api|https?|fetch|ur[li]s?|domain|links?|hyperlinks?|parse|scrape|code|program|function|script|shorten|"
    r"download|valid\w*|protocol|quer\w+|web ?address)\b",
    re.I,
)
"""Instructions that can be followed with nothing but a link."""
LINK_ONLY = re.compile(rf"\W*(?:!?\[(?![^\w\[]*\[)[^\]\n]*\]\()?{LINK}\W*")
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
SLOT = re.compile(
    r"(?<![\w}\]])\{[A-Za-z]\w*\}|\[(?:Your |[A-Z])[\w' ]{1,40}\](?!\()|<[a-z][\w ]{0,40}>"
)
CODE_SPAN = re.compile(r"`[^`\n]+`")
AT_LIMIT = "the model reached its limit of tokens"
MARKED = Rare(r"(?i:no\s?(?:in|out)put)|!\[|```|~~~")
RARE_FAULTS = Rare.any_of(DECLINES, SAYS_CANNOT, CONTROL, NEXT_TASK, STUB, MARKED)
"""What makes an answer useless, loops apart, has one of these: without one, nobody has to look."""
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


@dataclass(frozen=True, slots=True)
class Loop:
    """What makes a loop of a text; called with one, it says what."""

    min_distinct: float = MIN_DISTINCT
    min_zlib: float = MIN_ZLIB
    ngram: int = 4
    same_lines: int = 0
    """Times that a line comes before it is a loop; 0 for any."""

    def __call__(self, text: str) -> str | None:
        """Find a text that repeats itself, other than code blocks, tables and markup do."""
        text = text[:READ]
        evidence = self.repeats(text)
        return evidence and self.repeats(fold(text, self.repeats))

    def repeats(self, text: str) -> str | None:
        """Find words that come again, whatever they stand in."""
        if not self.same_lines and (len(text) < SHORT or self._differs(text)):
            return None
        said = words(text)
        n_distinct, n = len(set(said)), len(said) - self.ngram + 1
        # Every word but the last few begins a run: runs differ no less than words do.
        if len(said) >= MIN_LOOP_WORDS and n_distinct - self.ngram + 1 < self.min_distinct * n:
            runs = set(zip(*(said[i : n + i] for i in range(self.ngram)), strict=True))
            if (rate := len(runs) / n) < self.min_distinct:
                return f"{rate:.2f} of its runs of {self.ngram} words differ"
        return self._same_line(text) or self._compresses(text.encode(errors="replace"), n_distinct)

    def _differs(self, text: str) -> bool:
        """Say whether the first words, counted at a third of the cost, show that it is no loop.

        A word with an apostrophe, or with letters beyond ASCII, may be counted as several.
        """
        odd = 0 if text.isascii() else len(text) - len(text.encode("ascii", "ignore"))
        spaced = text.encode("ascii", "replace").translate(CUT)
        n, size = spaced.count(b" ") + 1, len(text) + 3 * odd
        runs = self.min_distinct * n + self.ngram if n >= MIN_LOOP_WORDS else 0
        packed = self.min_zlib * size / WORD_BYTES if size >= MIN_ZLIB_CHARS else 0
        if not (least := max(runs, packed)):
            return True
        least += odd + spaced.count(b"'")
        return least < n and len(set(spaced.split(maxsplit=int(1.6 * least)))) > least

    def _same_line(self, text: str) -> str | None:
        if not self.same_lines:
            return None
        lines = Counter(filter(None, map(str.strip, text.split("\n"))))
        line, n = next(iter(lines.most_common(1)), ("", 0))
        return f"{n} times: {line[:60]}" if n >= self.same_lines else None

    def _compresses(self, raw: bytes, n_distinct: int) -> str | None:
        least = self.min_zlib * len(raw)
        if len(raw) < MIN_ZLIB_CHARS or n_distinct * WORD_BYTES >= least:
            return None
        if _size(raw[: len(raw) // 2]) - HEADER >= least:
            return None
        rate = _size(raw) / len(raw)
        return f"compresses to {rate:.2f}" if rate < self.min_zlib else None


loops = Loop()


def _size(raw: bytes) -> int:
    """Return the compressed size; what fits a small window needs no more memory than that."""
    if len(raw) > SMALL:
        return len(zlib.compress(raw))
    to = zlib.compressobj(wbits=12, memLevel=5)
    return len(to.compress(raw)) + len(to.flush())


def leaks_template(text: str) -> str | None:
    """Find signs of a prompt's template, or the next task of a list, in an answer."""
    found = CONTROL.search(text) or NEXT_TASK.search(text)
    return found[0].strip() if found else _next_pair(text)


def _next_pair(text: str) -> str | None:
    """Find an input with its output, and another one: 168 of 252 answers of a base model go on so.

    None of 31,590 answers of instruction-tuned models and people does. Examples that are announced,
    and blocks of code, may have as many as they like.
    """
    if "Output:" not in text:
        return None
    prose = fold_fences(text)
    pairs = [*PAIR.finditer(prose)]
    place = " ".join(pair[1][0] for pair in pairs).find("I O I") // 2
    if place < 0 or EXAMPLE.search(prose, 0, pairs[place + 2].start()):
        return None
    return "Input:, Output:, Input:"


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


def slot(text: str) -> str | None:
    """Find a name in brackets outside of code, whatever it is there for."""
    prose = CODE_SPAN.sub(" ", fold_fences(text))
    found = (slot[0] for slot in SLOT.finditer(prose))
    is_markup = "</" in prose
    return next((name for name in found if not (is_markup and name[0] == "<")), None)


def lacks_input(instruction: str, given: str, *, stand_ins: bool = True) -> str | None:
    """Find a reference to a text that is not there, or what stands in its place."""
    if not given.strip() or is_marker(given):
        return dangles(instruction)
    return stands_in(instruction, given) if stand_ins else None


def cut_off(text: str) -> str | None:
    """Find an answer whose last code block is never closed."""
    return "its last code block is never closed" if fences(text) is None else None


def answers(instruction: str) -> str | None:
    """Find an instruction that is a reply: its writer answered instead of asking."""
    found = ANSWERS.match(instruction.replace("\u2019", "'"))
    return found[0].strip() if found else None
