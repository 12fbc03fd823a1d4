"""Keys: secrets that are recognised by how their makers write them, or by where they stand."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from gristmill.text.rare import Rare
from gristmill.text.redaction import Span

PATTERNS = {
    "private_key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[\s\S]{0,8000}?-----END[A-Z ]+-----)?",
    "aws_key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "github_token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b",
    "gitlab_token": r"\bglpat-[\w-]{20,}",
    "slack_token": r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}",
    "google_key": r"\bAIza[\w-]{35}(?![\w-])",
    "stripe_key": r"\b(?:sk|rk)_live_[A-Za-z0-9]{20,}\b",
    "openai_key": r"\bsk-(?:proj-|ant-[a-z0-9]+-)?[A-Za-z0-9_-]{32,}",
    "hugging_face_token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "npm_token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "pypi_token": r"\bpypi-[\w-]{50,}",
    "sendgrid_key": r"\bSG\.[\w-]{20,24}\.[\w-]{40,45}(?![\w-])",
    "twilio_key": r"\bSK[0-9a-f]{32}\b",
    "azure_key": r"(?<=AccountKey=)[A-Za-z0-9+/]{86}==",
    "mailchimp_key": r"\b[0-9a-f]{32}-us[0-9]{1,2}\b",
    "telegram_token": r"\b[0-9]{8,10}:AA[\w-]{33}(?![\w-])",
    "json_web_token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}",
    "url_password": r"(?<=://)[^\s:/@\"'<>]{1,64}:[^\s:/@\"'<>{}$]{3,64}(?=@[\w.-]+)",
    "assigned": r"(?i:password|passwd|secret|token|(?:api|access|private)_?key)[\"']?"
    r"\s*[:=]\s*[\"'](?P<value>[^\s\"'<>{}$]{16,128})[\"']",
}
NAMES = (
    r"passw(?:or)?d|passphrase|secret|token|credentials?"
    r"|(?:api|access|private|auth|secret)[_-]?key"
)
BARE = re.compile(
    rf"(?im)^[ \t]*(?:(?:export|set|env|-)[ \t]+)?[\w.-]{{0,64}}?(?P<name>{NAMES})"
    r"(?:_base|_?[0-9]{1,2})?(?:=|[ \t]*:[ \t]+|(?P<code>[ \t]+=[ \t]*))"
    r"(?P<value>[^\s\"'`<>{}$()\[\],;&|]{8,256})(?:[ \t]+#[^\n]*)?[ \t\r]*$"
)
"""A line of an environment file, of YAML or of settings: its value stands without quotes."""
PLAIN = re.compile(r"(?i)[./~]|[a-z]+(?:[-_.][a-z0-9]+)+$|[^/]*://")
"""A path, an address or a name of several words: none of them is a secret."""
PROSE = re.compile(
    r"(?i)(?:(?:at-?least|exactly|(?:min|max)(?:imum)?|up-?to)?[-_]?\d+[-_+]?"
    r"(?:char(?:acter)?s?|letters?|digits?|symbols?|words?|bits?|bytes?|days?)(?:-?(?:min|max|long))?"
    r"|(?:argon2(?:id?|d)?|sha-?\d*|md\d|[bsy]?crypt|pbkdf2|[ehpr]s\d{3}|aes-?\d*|rsa-?\d*|hmac|gcm"
    r"|cbc|ed25519|ec(?:dsa|dh)|crc32|blake\d[bs]?|ntlm(?:v\d)?|oauth-?\d?|base-?\d\d|utf-?\d+(?:mb\d)?"
    r"|latin-?1|with|and|encoded|hash(?:ed)?|bin|general|unicode|ci|[-_+/.:])++)$"
)
"""How long a password must be, how it is kept, or how its letters are written."""
FOREIGN = re.compile(r"(?![\0-\u024f])[^\W\d_]")
"""A letter that is not Latin: text without spaces, not what a keyboard gives for a password."""
WORD = r"(?>(?:(?:[A-Z][a-z]+)+|[a-z]+|[A-Z]+)\d{0,2}|\d{1,3}(?:x\d{1,3})?[A-Za-z]{0,2})"
TITLE = re.compile(rf"(?=\S*[a-z]{{3}}){WORD}(?:[-_.]{WORD})+$")
"""Words and small numbers, as in the name of a model; passwords may be made of them."""
MEMBER = re.compile(
    rf"(?i)[a-z_]\w*(?:\.[a-z_]\w*)*?\.(?:{NAMES}|auth|headers?|cookies?|args|params|query|form|body"
    r"|data|json|value|text|env|environ|config|settings|user)\d{0,2}(?:\.[a-z_]\w*)*$"
)
"""A value that code reads from somewhere: `form1.password`."""
KEYS = Rare(
    "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in PATTERNS.items()),
    gate=r"-----BEGIN|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|AIza|[sr]k_live_|sk-"
    r"|SK[0-9a-f]{32}|AccountKey=|[0-9a-f]{8}-us[0-9]|[0-9]:AA|hf_|npm_|pypi-|SG\.|eyJ"
    r"|://[^ \n/@]*@|(?i:passw(?:or)?d|secret|token|key)[\"']?\s*[:=]\s*[\"'][^ \n\"'<>{}$]{16}"
    rf"|(?i:(?:{NAMES})(?:_base|_?[0-9?]{{1,2}})?)(?:[ \t]*=|[ \t]*:[ \t])[ \t]*"
    r"[^ \t\n\"'`<>{}$]{8}",
)
EXAMPLE = re.compile(r"(?i)example|x{4}|\*{4}|your[-_]|1234567|placeholder|changeme|user:pass")
"""What documentation writes where a key would stand."""
MIN_BITS = 3.5
"""Shannon entropy per character from which on a value with digits and letters is no word."""


def keys(text: str) -> Iterator[Span]:
    """Yield every secret; what is plainly an example is none."""
    taken = bytearray(len(text))
    for found in KEYS.pattern.finditer(text):
        kind = str(found.lastgroup)
        start, end = found.span("value" if kind == "assigned" else kind)
        secret = text[start:end]
        if not EXAMPLE.search(secret) and (kind != "assigned" or _is_random(secret)):
            taken[start:end] = b"\1" * (end - start)
            yield Span(kind, start, end)
    for found in BARE.finditer(text):
        start, end = found.span("value")
        before = text[max(0, found.start() - 200) : found.start()].rstrip()
        is_argument = text[start - 1] == "=" and before.endswith(("(", ","))
        if 1 not in taken[start:end] and _is_bare(found, is_argument):
            yield Span("assigned", start, end)


def _is_bare(found: re.Match[str], is_argument: bool) -> bool:
    """Say whether a value without quotes is a secret; one in what may be code must be longer."""
    value = found["value"]
    if EXAMPLE.search(value) or any(one.match(value) for one in (PLAIN, PROSE, MEMBER)):
        return False
    if FOREIGN.search(value) or (is_argument and value.replace(".", "_").isidentifier()):
        return False
    if found["code"]:
        return len(value) >= 20 and len(re.findall(r"\d+", value)) > 1 and _is_random(value)
    is_password = found["name"].lower().startswith("passw")
    if is_password:
        return _is_mixed(value)
    return len(value) >= 16 and _is_random(value) and not TITLE.match(value)


def _is_mixed(text: str) -> bool:
    return bool(re.search(r"\d", text)) and bool(re.search(r"[^\W\d]", text))


def _is_random(text: str) -> bool:
    counts = Counter(text).values()
    bits = -sum(n / len(text) * math.log2(n / len(text)) for n in counts)
    return bits >= MIN_BITS and _is_mixed(text)
