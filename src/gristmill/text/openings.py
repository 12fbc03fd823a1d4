"""Openings: what a revised answer says of itself before it begins."""

from __future__ import annotations

import re

SPEAKS = re.compile(
    r"""(?ix)^\W*(?:
        (?:i(?:['\u2019]m|\ am)?\ (?:so\ |very\ )?(?:sorry|apologi[sz]e)|(?:my\ )?apologies
          |thanks?(?:\ you)?)\b[^.!:\n]{0,200}
        |(?:(?:sure|certainly|of\ course)[,.!]\ *)?here(?:['\u2019]s|\ is)\b[^.!:\n]{0,80}
          \b(?:answer|response|version|revis|updat|improv|refin|rewrit)[^.!:\n]{0,80}
    )[.!:\n]+\s*"""
)
"""An apology, thanks, or the announcement of another version: one sentence."""
MOST = 3
"""Sentences of this kind, one after the other."""


def unannounced(text: str) -> str:
    """Return a revised answer without the sentences in front that are about itself."""
    for _ in range(MOST):
        text = SPEAKS.sub("", text, count=1)
    return text.strip()
