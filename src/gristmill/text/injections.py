"""Injections: text that speaks to the model that reads it instead of being read.

Sources: the impacts in Greshake et al., arXiv:2302.12173 (theft of information, spreading, control
of calls; contaminated content is not told by a rule), and the parts of a payload in Liu et al.,
"Prompt Injection attack against LLM-integrated Applications" (HouYi), arXiv:2306.05499: a
separator that ends what went before, then a request. These are rules: what is said in other words
is not found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from gristmill.text.rare import Rare
from gristmill.text.redaction import Span

Threat = Literal[
    "override", "persona", "prompt_theft", "exfiltration", "spreading", "tool_control", "separator",
    "hidden_text",
]  # fmt: skip

BEFORE = r"(?:previous|prior|above|earlier|preceding|foregoing|former|original|system|initial)"
ORDERS = r"(?:instructions?|prompts?|directions?|commands?|rules|guidelines|context|messages?)"
ORDER = r"\b(?:ignore|disregard|forget|override|bypass)\b"
ASK = r"\b(?:reveal|print|show|repeat|output|display|leak|tell me|what (?:is|are|were))\b"
SECRET = r"(?:hidden|initial|original|secret)"
NEW = r"new (?:system )?instructions? ?:"
THEFT = rf"(?:system prompt|system message|{SECRET} (?:prompt|instructions))"
EVERYWHERE = (
    r"(?:to|in|into|with) (?:every|each|all|any) (?:of )?(?:your |my |the )?(?:future |new )?"
    r"(?:repl(?:y|ies)|responses?|e-?mails?|messages?|answers?|contacts?)"
)
SILENTLY = r"without (?:asking|telling|informing|notifying|alerting) (?:the |your )?user"
SEND = r"\b(?:send|post|forward|upload|exfiltrate|append)\b"
PRIVATE = (
    r"(?:conversation|chat history|credentials|passwords?|api keys?|private data|user'?s? data)"
)
PATTERNS: dict[Threat, str] = {
    "override": rf"{ORDER}[^.\n]{{0,30}}\b{BEFORE}\b[^.\n]{{0,20}}\b{ORDERS}\b"
    r"|\b(?:ignore|disregard|forget) (?:all |everything )?(?:the |that |of the )?"
    rf"(?:above|you were told)\b|\b{NEW}",
    "persona": r"\byou are now (?:in )?(?:dan\b|developer mode"
    r"|an? (?:unrestricted|unfiltered|jailbroken|evil))"
    r"|\b(?:do anything now|jailbreak mode|developer mode (?:enabled|on))\b"
    r"|\bwithout (?:any )?(?:ethical|moral|safety) (?:restrictions|guidelines|filters)\b",
    "prompt_theft": rf"{ASK}[^.\n]{{0,30}}\b(?:your|the) (?:{SECRET} )*{THEFT}\b",
    "exfiltration": rf"{SEND}[^.\n]{{0,60}}\b{PRIVATE}\b[^\n]{{0,60}}(?:https?://|@\w)",
    "spreading": r"\b(?:copy|include|append|insert|add|repeat|forward|send) (?:this|these|the"
    r" following) (?:\w+ )?(?:message|e-?mail|prompt|instructions?|text|paragraph)s?\b"
    rf"[^.\n]{{0,40}}\b{EVERYWHERE}\b",
    "tool_control": r"\b(?:call|invoke|execute|run|use)\b[^.\n]{0,60}"
    rf"\b(?:tool|function|api|plugin|command|script)\b[^.\n]{{0,60}}\b{SILENTLY}\b",
    "separator": r"<\|(?:im_start|im_end|endoftext|eot_id|start_header_id|system)\|>"
    r"|\[/?INST\]|<</?SYS>>|(?m:^[-=#*]{3,} ?end of (?:the )?(?:user |system )?"
    r"(?:prompt|input|instructions|document)\b)",
    # The flag of a region has six of these letters.
    "hidden_text": "[\U000e0020-\U000e007f]{8,}|[\u200b\u2060\u2062\u2063\u2064]{8,}|\u202e+",
}
INJECTION = Rare(
    "(?i)" + "|".join(f"(?P<{name}>{pattern})" for name, pattern in PATTERNS.items()),
    # What may stand between two words makes an automaton large: one part of each has to do.
    gate=rf"(?i){ORDER}|\b{NEW}|{PATTERNS['persona']}|\b{THEFT}\b|\b{PRIVATE}\b"
    rf"|\b{EVERYWHERE}\b|\b{SILENTLY}\b|{PATTERNS['separator']}",
    beyond=PATTERNS["hidden_text"],
)


def may_have_injection(texts: Iterable[str]) -> bool:
    """Say whether it is worth to look into one of these texts, with one look."""
    return INJECTION.may_be_in("\n".join(texts).replace("\u2019", "'"))


def injections(text: str) -> Iterator[Span]:
    """Yield every injection of a text; its kind is a `Threat`."""
    text = text.replace("\u2019", "'")
    if INJECTION.may_be_in(text):
        for found in INJECTION.pattern.finditer(text):
            yield Span(str(found.lastgroup), *found.span())
