"""Personal data that a rule can tell: addresses of mail and machines, phones, cards, accounts.

Numbers with a checksum must have it right. Names and street addresses are beyond a rule.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import chain
from typing import Literal, get_args

from gristmill.text.rare import Rare
from gristmill.text.redaction import Span

Kind = Literal["email", "phone", "ip", "card", "iban"]
KINDS: tuple[Kind, ...] = get_args(Kind)

EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[^\W\d_]{2,24}\b")
NOBODY = re.compile(r"(?i)@(?:[\w-]+\.)*(?:example\.(?:com|org|net)|(?:test|invalid|local))$")
"""Domains that are reserved for examples (RFC 2606)."""
PATH = re.compile(r":(?:~?/|[\w./~-]{0,200}(?:\.git\b|/(?![\w.~])))")
LOGIN = re.compile(
    r"(?ai)(?:https?|s?ftps?|ssh|git|rsync|svn|hg|smb|wss?|telnet|ldaps?|amqps?|redis|mongodb"
    r"|mysql|postgres(?:ql)?)(?:\+\w{1,16})?://[\w.%~+-]*:?[\w.%~+-]*$"
)
"""Behind and in front of who logs in on a machine: `git@host:rows/x.git`, `ssh://ann@host`. Of a
page's address and an address of mail behind it, anything but a name and a password stands between.
"""
LINKED = re.compile(r"(?ai)https?://[\w.%~+-]*$")
ON_PAGE = re.compile(r":\d|/?[?#]|/[\w%~]")
"""`https://ann@host.io` without a password, a port or a path behind it is an address of mail that
somebody made a link of: nobody logs in on a page's front door by name alone."""
# A pattern that begins with a letter or digit and then looks back is found three times as fast as
# one that looks back first.
IP4 = re.compile(r"\d(?<![\w.]\d)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?![\w]|\.\d)")
IP6 = re.compile(r"[23](?<![\w:.][23])[0-9a-fA-F]{3}(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:])")
CARD = re.compile(r"\d(?<![\w.-]\d)(?:[ -]?\d){12,18}(?![\w-]|\.\d)")
ISSUERS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|(?:6011|65\d\d|64[4-9]\d|35[2-8]\d)\d{12}|62\d{14,17}"
)
"""Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay."""
IBAN = re.compile(r"[A-Z](?<!\w[A-Z])[A-Z]\d{2}(?: ?[A-Z0-9]){11,30}")
LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 "
    "DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 "
    "HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 "
    "MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 "
    "RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 "
    "VA22 VG24 XK20 YE30"
)
"""Of every country in the registry of ISO 13616."""
IBAN_LENGTH = {known[:2]: int(known[2:]) for known in LENGTHS.split()}
PHONE = re.compile(
    r"[+(\d](?<![\w.+-][+(\d])(?:"
    r"(?:(?<=\+)|(?<=\()(?:\+|00 ?)|(?<=0)(?<!\d 0)(?:0 ?|11[ -]))"
    r"(?:[2-9]|(?<!0)1|1(?=[ .-]))\d{0,2}+\)?+"
    r"(?:[ ./-]{0,3}+(?:\(\d{1,5}\)|\d++))++"
    r"|(?:(?<=\()\d{3}\) ?|(?<=\d)\d{2}[-.]|(?<=1)(?<!\d 1)[ .-]\(?[2-9]\d\d(?:\) ?|[-.]))"
    r"\d{3}[-.]\d{4}"
    r"|(?<=1)(?<!\d 1) 8(?:00|33|44|55|66|77|88) \d{3} \d{4}"
    r")(?![\w-]|\.\d)"
)
"""With the code of a country, or as in North America: other forms are those of any number. A one
behind two zeros is bits more often than a call to North America."""
NAMING = (
    r"(?<![^\W_])(?:(?:tele|cell)?phone|tel|fax|mobile|cell|whatsapp)[\"'*]{0,3}"
    r"(?:[ _-]?(?:number|no\b|nr\b)[\"'*]{0,3}| is\b| ?[.:=]>?){1,3}[ \"'*]{0,4}"
)
NAMED = re.compile(
    rf"(?i){NAMING}"
    r"(?P<number>(?:\(\d{1,5}\)|\d++)(?:[ ./-]{0,3}+(?:\(\d{1,5}\)|\d++)){0,7}+)(?![\w-]|\.\d)"
)
"""After a word for it any number of that length is one."""
UNSURE = re.compile(r"00 ?\d{4}|\+\d+\.\d+$")
CALLED = re.compile(
    rf"(?i)(?:{NAMING}|\b(?:call|dial|ring|phone)(?: (?:me|us|him|her|them|at|on)){{0,2}}:? ?)$"
)
"""Accounts and decimals are written as these numbers are: words in front have to call them one."""
YEAR = r"(?:1[5-9]|20)\d\d"
OTHER = re.compile(
    rf"(?:{YEAR}([./-])\d\d?\1\d\d?|\d\d?([./-])\d\d?\2{YEAR})(?!\d)"
    rf"|(?:{YEAR}(?: ?[/-] ?{YEAR}|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))"
    r"|(?!\d{3}\.\d{4}$)(?:0|[1-9]\d*)\.\d+"
    r"|[01\W]+|\+1(?!\d{10}$)\d+|00(?:\D*\d){6}|00(?:\D+\d\d)+|00\d+(?:\D+00\d+)+)$"
)
"""Dates, years, decimals; bits, what is too short behind `+1` or `00`, bytes in pairs of digits,
and several numbers with zeros in front."""
COUNTED = re.compile(
    r" ?(?:(?:[kKMG]i?)?B|bytes|bits|m?V|build|users|people|customers|subscribers|devices|units"
    r"|items|rows|words|tokens|steps|times|points|views|downloads|dollars|euros)\b"
)
"""Behind up to nine digits without groups: it is how many of them there are."""


PERSONAL = Rare(r"@|[A-Z]{2}\d{2}|\d(?:[ .()+/-]{0,5}\d){6}|\d\.\d+\.\d|[23][0-9a-fA-F]{3}:")
"""One of them is in all personal data: an address, the start of an account, seven digits."""


def personal(text: str, kinds: frozenset[str]) -> Iterator[Span]:
    """Yield every piece of personal data of some kinds; the more certain kinds come first."""
    taken = bytearray(len(text))
    for kind, found in FINDERS.items():
        for start, end in found(text) if kind in kinds else ():
            if 1 not in taken[start:end]:
                taken[start:end] = b"\1" * (end - start)
                yield Span(kind, start, end)


def _emails(text: str) -> Iterator[tuple[int, int]]:
    for found in EMAIL.finditer(text) if "@" in text else ():
        start, end = found.span()
        at = text.index("@", start)
        before = text[max(0, at - 160) : at]
        is_linked = LINKED.search(before) and not ON_PAGE.match(text, end)
        is_login = PATH.match(text, end) or (not is_linked and LOGIN.search(before))
        if not (is_login or found[0].startswith("git@") or NOBODY.search(found[0])):
            yield start, end


def _ips(text: str) -> Iterator[tuple[int, int]]:
    for found in chain(IP4.finditer(text), IP6.finditer(text)):
        try:
            if ipaddress.ip_address(found[0]).is_global:
                yield found.span()
        except ValueError:
            continue


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for found in CARD.finditer(text):
        digits = re.sub(r"\D", "", found[0])
        if ISSUERS.fullmatch(digits) and luhn(digits):
            yield found.span()


def luhn(digits: str) -> bool:
    """Say whether a number of a card has its check digit (ISO/IEC 7812-1)."""
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(d - 9 * (d > 9) for d in doubled) % 10 == 0


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for found in IBAN.finditer(text):
        length, end, n = IBAN_LENGTH.get(found[0][:2], 0), found.start(), 0
        while n < length and end < found.end():
            n += text[end] != " "
            end += 1
        if (
            n == length
            and n
            and not text[end : end + 1].isalnum()
            and mod97(text[found.start() : end])
        ):
            yield found.start(), end


def mod97(iban: str) -> bool:
    """Say whether an account's number has its check digits (ISO 13616)."""
    plain = iban.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for found in chain(PHONE.finditer(text), NAMED.finditer(text)):
        part = "number" if found.re is NAMED else 0
        start, end = found.span(part)
        digits = sum(map(str.isdigit, found[part]))
        if not (7 if part else 8) <= digits <= 15 or OTHER.match(found[part]):
            continue
        is_plain = digits < 10 and found[part].lstrip("+").isdigit()
        is_count = is_plain and COUNTED.match(text, end)
        is_unsure = not part and UNSURE.match(found[part])
        if not is_count and (not is_unsure or CALLED.search(text[max(0, start - 40) : start])):
            yield start, end


FINDERS = {"iban": _ibans, "card": _cards, "email": _emails, "ip": _ips, "phone": _phones}
