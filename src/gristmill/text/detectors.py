"""Detectors: what makes an instruction row useless, found in its text alone.

Each returns the evidence, or None. They were tuned by reading what they found in 9,229 rows of
Alpaca, 2,996 of Dolly, 6,552 of Code Alpaca and 252 answers of a base model: a rule that was wrong
as often as right is not here (any "sorry", a repeated line, a bracketed name in a letter, an answer
without a full stop).
"""

from __future__ import annotations

import re

from gristmill.text.fences import fences, fold_fences
from gristmill.text.rare import Rare

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
