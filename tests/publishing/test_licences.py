"""Which licence follows from those of the sources, and which card `publish` refuses."""

import pytest
import yaml

from gristmill.publishing import card, facts, licences
from gristmill.publishing.files import RunFiles


@pytest.mark.parametrize(
    ("given", "hub", "terms"),
    [
        ("Apache 2.0", "apache-2.0", {"attribution"}),
        ("The MIT License", "mit", {"attribution"}),
        ("CC BY-NC 4.0", "cc-by-nc-4.0", {"attribution", "non-commercial"}),
        ("CC-BY-SA-3.0", "cc-by-sa-3.0", {"attribution", "share-alike"}),
        ("Creative Commons BY NC ND 4.0", "cc-by-nc-nd-4.0",
         {"attribution", "non-commercial", "no-derivatives"}),
        ("CC0", "cc0-1.0", set()),
    ],
)  # fmt: skip
def test_names_of_licences_are_known_in_other_spellings(given, hub, terms) -> None:
    assert (licences.normal(given), licences.terms(given)) == (hub, terms)


def test_a_licence_that_is_not_known_has_no_terms() -> None:
    assert licences.terms("Model-X Community") is None
    assert licences.terms("cc-by-nc") is None, "a licence of Creative Commons has a version"


NC, NC_SA = {"license": "cc-by-nc-4.0"}, {"license": "cc-by-nc-sa-4.0"}


@pytest.mark.parametrize(
    ("sources", "follows"),
    [
        ([], {"license": "unknown"}),
        (["not stated"], {"license": "unknown"}),
        (["MIT"], {"license": "mit"}),
        (["PSF-2.0"], {"license": "other", "license_name": "psf-2.0"}),
        (["MIT", "Apache-2.0"], {"license": "other", "license_name": "several-licenses"}),
        (["mit", "MIT License"], {"license": "mit"}),
        (["MIT", "CC BY-NC 4.0"], NC),
        (["not stated", "cc-by-nc-3.0"], NC),
        (["MIT", "cc-by-nc-sa-4.0"], NC_SA),
        (["cc-by-4.0", "cc-by-nc-nd-4.0"], {"license": "cc-by-nc-nd-4.0"}),
        (["cc-by-sa-4.0", "cc-by-nc-4.0"],
         {"license": "other", "license_name": "several-licenses-non-commercial"}),
    ],
)  # fmt: skip
def test_what_follows_is_no_laxer_than_any_source(sources, follows) -> None:
    assert licences.follows(sources) == follows


@pytest.fixture
def carded(finished, monkeypatch):
    """A run with seeds of these licences, whose card states another."""

    def make(sources: list[str], stated: dict[str, str] | None = None):
        lines = [(f"s{i}", name, 10) for i, name in enumerate(sources)]
        monkeypatch.setattr(facts, "sources", lambda run: lines)
        path = finished()
        file = card.write(path)
        if stated is not None:
            _, head, body = file.read_text().split("---\n", 2)
            meta = {k: v for k, v in yaml.safe_load(head).items() if not k.startswith("license")}
            file.write_text(f"---\n{yaml.safe_dump({**meta, **stated})}---\n{body}")
        return RunFiles.open(path), file.read_text()

    return make


def test_the_card_says_what_follows_and_from_which_source(carded) -> None:
    _, text = carded(["MIT", "CC BY-NC 4.0", "House <b> rules"])
    assert "\nlicense: cc-by-nc-4.0\n" in text
    assert "The licence that follows is `cc-by-nc-4.0`: attribution, non-commercial.\n" in text
    assert "- non-commercial: by `CC BY-NC 4.0`\n" in text
    assert "- attribution: by `CC BY-NC 4.0`, `MIT`\n" in text
    assert "- not known here, so read them: `House <b> rules`" in text


@pytest.mark.parametrize(
    ("sources", "stated", "says"),
    [
        (["cc-by-nc-4.0"], "mit", "sources, 'cc-by-nc-4.0': it is not non-commercial"),
        (["MIT", "cc-by-nc-sa-4.0"], "cc-by-nc-4.0", "not share-alike"),
        (["MIT"], "cc0-1.0", "not attribution"),
        (["cc-by-sa-4.0"], "gpl-3.0", "not the licence of its sources"),
        (["cc-by-sa-4.0", "gpl-3.0"], "gpl-3.0", "not the licence of its sources"),
        (["House rules"], "mit", "not the licence of its sources"),
        (["cc-by-nc-4.0"], "House rules", "not attribution, non-commercial"),
    ],
)  # fmt: skip
def test_a_laxer_licence_is_told(carded, sources, stated, says) -> None:
    run, _ = carded(sources, {"license": stated})
    assert says in (licences.laxer(run) or "")


@pytest.mark.parametrize(
    ("sources", "stated"),
    [
        (["MIT"], "cc-by-nc-4.0"),
        (["MIT"], "apache-2.0"),
        (["not stated"], "mit"),
        (["cc-by-nc-4.0", "MIT"], "cc-by-nc-sa-4.0"),
        (["cc-by-sa-4.0", "MIT"], "cc-by-sa-4.0"),
    ],
)
def test_a_licence_that_asks_as_much_may_be_given(carded, sources, stated) -> None:
    assert licences.laxer(carded(sources, {"license": stated})[0]) is None


def test_a_card_without_a_licence_is_told(carded) -> None:
    run, _ = carded(["MIT"], {})
    assert "states no license in its front matter" in (licences.laxer(run) or "")
    (run.path / "dataset" / "README.md").write_text("no front matter")
    assert "states no license in its front matter" in (licences.laxer(run) or "")
    (run.path / "dataset" / "README.md").unlink()
    assert licences.laxer(run) is None
