"""The licence that follows for a dataset from those of its sources. No lawyer's advice.

A licence is what it asks of who passes the data on. What cannot be told stays open and is said.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import yaml

from gristmill.publishing import facts
from gristmill.publishing.escape import code_span
from gristmill.publishing.files import RunFiles

CREDIT, ALIKE, UNPAID, WHOLE = "attribution", "share-alike", "non-commercial", "no-derivatives"
UNSTATED = "not stated"
NAMED: Mapping[str, tuple[str, frozenset[str]]] = {
    "apache-2.0": ("Apache-2.0", frozenset({CREDIT})),
    "mit": ("MIT", frozenset({CREDIT})),
    "bsd-2-clause": ("BSD-2-Clause", frozenset({CREDIT})),
    "bsd-3-clause": ("BSD-3-Clause", frozenset({CREDIT})),
    "odc-by": ("ODC-By-1.0", frozenset({CREDIT})),
    "cc0-1.0": ("CC0-1.0", frozenset()),
    "pddl": ("PDDL-1.0", frozenset()),
    "gpl-2.0": ("GPL-2.0-only", frozenset({CREDIT, ALIKE})),
    "gpl-3.0": ("GPL-3.0-only", frozenset({CREDIT, ALIKE})),
    "lgpl-3.0": ("LGPL-3.0-only", frozenset({CREDIT, ALIKE})),
    "mpl-2.0": ("MPL-2.0", frozenset({CREDIT, ALIKE})),
    "odbl": ("ODbL-1.0", frozenset({CREDIT, ALIKE})),
}
"""Names on the Hub: name in the SPDX list, and terms. Those of Creative Commons say their own."""
COMMONS = re.compile(r"cc-by(-nc)?(-sa|-nd)?-\d\.\d")
PSF = "psf-2.0"


def normal(name: str) -> str:
    """Return a licence's name as the Hub writes it: `CC BY-NC 4.0` is `cc-by-nc-4.0`."""
    plain = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")
    plain = re.sub(r"^creative-commons-", "cc-", re.sub(r"(^the-)|(-licen[sc]e\b)", "", plain))
    return {"apache-2": "apache-2.0", "cc0": "cc0-1.0"}.get(plain, plain)


def terms(name: str) -> frozenset[str] | None:
    """Return what a licence asks; None for one that is not known here."""
    plain = normal(name)
    if plain in NAMED:
        return NAMED[plain][1]
    if plain == PSF:
        return frozenset({CREDIT})
    if not (found := COMMONS.fullmatch(plain)):
        return None
    asks = {"-nc": UNPAID, "-sa": ALIKE, "-nd": WHOLE}
    return frozenset({CREDIT, *(asks[part] for part in found.groups() if part)})


def follows(licences: Collection[str]) -> dict[str, str]:
    """Return the front matter's `license`, and `license_name` where the Hub has no name for it.

    One licence stays. Of several the card is non-commercial as soon as one is; if two of them want
    their own name on what is made of them, no single one follows.
    """
    names = sorted({normal(name) for name in licences})
    if names in ([], [normal(UNSTATED)]):
        return {"license": "unknown"}
    if len(names) == 1:
        is_known = names[0] in NAMED or COMMONS.fullmatch(names[0])
        return {"license": names[0]} if is_known else _other(names[0])
    asked = _asked(names)
    own = {name for name in names if ALIKE in (terms(name) or ())}
    if UNPAID not in asked:
        return _other("several-licenses")
    if any(UNPAID not in (terms(name) or ()) for name in own) or {ALIKE, WHOLE} <= asked:
        return _other("several-licenses-non-commercial")
    last = "-sa" if own else "-nd" if WHOLE in asked else ""
    return {"license": f"cc-by-nc{last}-4.0"}


def _other(name: str) -> dict[str, str]:
    return {"license": "other", "license_name": name or "several-licenses"}


def _asked(names: Iterable[str]) -> frozenset[str]:
    return frozenset[str]().union(*(terms(name) or () for name in names))


def of_run(run: RunFiles) -> list[str]:
    """Return the licences of the seeds that a run took; `not stated` for those without."""
    return sorted({licence for _, licence, _ in facts.sources(run)})


def section(run: RunFiles) -> Iterator[str]:
    """Yield the card's sentences."""
    found = of_run(run)
    if not found:
        return
    told = follows(found)
    name = told.get("license_name") or told["license"]
    asked = sorted(_asked(found))
    said = ", ".join(asked) or "no terms known"
    yield f"\nThe licence that follows is {code_span(name)}: {said}."
    for term in asked:
        those = [code_span(one, 80) for one in found if term in (terms(one) or ())]
        yield f"- {term}: by {', '.join(those[:8])}"
    if open_ := [code_span(one, 80) for one in found if terms(one) is None and one != UNSTATED]:
        yield f"- not known here, so read them: {', '.join(open_[:8])}"
    if UNSTATED in found:
        yield "- some seeds state no licence: whoever publishes them answers for that"


def laxer(run: RunFiles) -> str | None:
    """Say why the licence that a run's card states may not be given; None when it may."""
    path = run.path / "dataset" / "README.md"
    if not path.exists():
        return None
    try:
        stated: Any = yaml.safe_load(path.read_text(encoding="utf-8").split("---\n")[1])
        name = normal(str(stated.get("license_name") or stated["license"]))
    except (yaml.YAMLError, IndexError, KeyError, AttributeError):
        return (
            f"{path} states no license in its front matter; write it again: `build-dataset report`"
        )
    sources = of_run(run)
    wanted = follows(sources)
    due = wanted.get("license_name") or wanted["license"]
    if name == due or due == "unknown":
        return None
    own = {normal(one) for one in sources if ALIKE in (terms(one) or ())}
    missing = _asked(sources) - (terms(name) or frozenset())
    unjudged = [one for one in sources if terms(one) is None and one != UNSTATED]
    if missing or own - {name} or unjudged:
        why = f"not {', '.join(sorted(missing))}" if missing else "not the licence of its sources"
        return (
            f"{path} states '{name}', which is laxer than what follows from the sources, '{due}': "
            f"it is {why}; write the card again by `build-dataset report`, or state that one"
        )
    return None
