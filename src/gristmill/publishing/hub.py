"""Publish a finished run's dataset folder, with its report, on the Hugging Face Hub.

Large files are sent first, each once, also over interruptions; then one commit makes all of
them visible together, so that nobody ever loads half a version. Repositories are private unless
said otherwise. The answer store, the shards and the locks never leave the machine.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from gristmill.errors import GateClosed, RequirementError
from gristmill.publishing import croissant
from gristmill.publishing.changelog import versions
from gristmill.publishing.checks import problems
from gristmill.publishing.contamination import above_limit
from gristmill.publishing.files import AGAIN, RunFiles
from gristmill.publishing.hub_failures import explained, patiently, silent
from gristmill.publishing.licences import laxer
from gristmill.publishing.seal import is_sealed

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger(__name__)

OURS = ("data/", "exports/")
"""Folders whose remote files are deleted when this version does not have them."""
CARD = "README.md"
REPAIR = "run its recipe again, which writes the dataset anew and replays everything else"
CHUNK = 2**20
"""Bytes of a file that are searched at once."""


@dataclass(frozen=True)
class Published:
    """What is on the Hub now."""

    url: str
    commit: str
    files: int
    size_bytes: int


def publish(
    path: Path,
    repo_id: str,
    *,
    private: bool = True,
    revision: str | None = None,
    token_env: str = "HF_TOKEN",
    endpoint: str | None = None,
    replace_card: bool = False,
) -> Published:
    """Send a run's dataset folder and report to a dataset repository; make it where needed.

    huggingface_hub sends large files by its own protocol (Xet); HF_HUB_DISABLE_XET=1 makes it use
    Git LFS, which is what other servers than the Hub understand.

    A Hub that is busy or breaks off is asked again, half a minute in all or as long as it asks
    for. Interrupted, call it again: what the Hub already has is not sent twice.

    Raises:
        InputError: There is no finished run at `path`, or `repo_id` is no name.
        GateClosed: The run has no rows, does not add up, repeats benchmarks more than its recipe
            allows, holds the token, was edited, states a licence laxer than its sources', or its
            repository is public, or has a card that somebody else wrote or edited there, or
            this version with other rows.
        RequirementError: No token, no right to write there, or the Hub is switched off.
        StorageError: The Hub could not be reached or failed.
    """
    run = RunFiles.open(path)
    if why := next(_closed(run), None):
        raise GateClosed(f"{path} is not published: {why}")
    token = _token(token_env)
    files = dict(_files(run))
    _check_secret(files, token, token_env)
    _check_whole(run)
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint, token=token, library_name="gristmill")
    asked = _Asked(run, files, repo_id, private, revision, replace_card)
    with explained(repo_id, token, token_env):
        return patiently(lambda: _try(api, asked))


@dataclass(frozen=True)
class _Asked:
    """What is to be on the Hub."""

    run: RunFiles
    files: dict[str, Path]
    repo_id: str
    private: bool
    revision: str | None
    replace_card: bool


def _try(api: HfApi, asked: _Asked) -> Published:
    """Bring a dataset to the Hub; tried again, it goes on with what has not arrived."""
    files, repo_id, revision = asked.files, asked.repo_id, asked.revision
    where: dict[str, Any] = {"repo_id": repo_id, "repo_type": "dataset"}
    api.create_repo(**where, private=asked.private, exist_ok=True)
    was_private = api.repo_info(**where).private
    if asked.private and not was_private:
        raise GateClosed(
            f"{repo_id} is there already and public; publish to another name, make it private "
            "on the Hub, or say that a public one is meant"
        )
    if revision:
        api.create_branch(**where, branch=revision, exist_ok=True)
    if croissant.FILE in files:
        croissant.write(asked.run, f"{api.endpoint}/datasets/{repo_id}")
    tags = [f"v{told['version']}" for told in versions(asked.run)[-1:]]
    for tag in tags:
        _check_tag(api, where, tag, files)
    head = _head(api, where, files, revision, replace_card=asked.replace_card)
    done = _send(api, where, files, revision, (f"Publish {asked.run.name}", head))
    for tag in tags:  # one that is there has the same rows
        api.create_tag(**where, tag=tag, revision=done.commit, exist_ok=True)
    if was_private and not asked.private:  # last: nobody sees what is not there yet
        api.update_repo_settings(**where, private=False)
    return done


def _closed(run: RunFiles) -> Iterator[str]:
    """Yield what forbids publishing a run."""
    if wrong := problems(run):
        yield f"{'; '.join(wrong[:5])}{AGAIN}"
    if not run.stages[-1]["kept"]:
        yield "its dataset has no rows"
    if repeats := list(above_limit(run)):
        yield "; ".join(repeats)
    if wrong_licence := laxer(run):
        yield wrong_licence


def _check_whole(run: RunFiles) -> None:
    if edited := croissant.edited(run.path / "dataset", run.data):
        raise GateClosed(
            f"{run.path} is not published: {', '.join(edited[:5])} of its dataset changed since "
            f"it was written; {REPAIR}"
        )


def _token(name: str) -> str:
    if not (token := os.environ.get(name, "")):
        raise RequirementError(
            f"publishing needs a token that may write: set {name}, found it empty; "
            "tokens are made under Settings, Access Tokens on the Hub"
        )
    return token


def _head(
    api: HfApi,
    where: dict[str, Any],
    files: dict[str, Path],
    revision: str | None,
    *,
    replace_card: bool,
) -> str | None:
    """Return the commit that is looked at, whose card may be replaced."""
    head: str | None = api.repo_info(**where, revision=revision).sha
    if (
        replace_card
        or CARD not in files
        or not api.file_exists(**where, filename=CARD, revision=head)
    ):
        return head
    with TemporaryDirectory() as folder:
        there = Path(api.hf_hub_download(**where, filename=CARD, revision=head, local_dir=folder))
        text = there.read_text(encoding="utf-8", errors="replace")
    if is_sealed(text) or text == files[CARD].read_text(encoding="utf-8"):
        return head
    raise GateClosed(
        f"{CARD} of {where['repo_id']} was written or edited on the Hub and would be replaced: "
        "keep what it says elsewhere, then add --replace-card"
    )


def _check_tag(api: HfApi, where: dict[str, Any], tag: str, files: dict[str, Path]) -> None:
    """Refuse a version that is on the Hub with other rows: who pinned it would never see these."""
    asked: dict[str, Any] = {**where, "filename": croissant.FILE, "revision": tag}
    if croissant.FILE not in files or not api.file_exists(**asked):
        return
    with TemporaryDirectory() as folder:
        there = Path(api.hf_hub_download(**asked, local_dir=folder))
        sides = [croissant.checksums(file.read_text()) for file in (there, files[croissant.FILE])]
    old, new = ({n: v for n, v in side.items() if n.startswith("data/")} for side in sides)
    if old != new:
        raise GateClosed(
            f"{tag} of {where['repo_id']} is on the Hub with other rows than these, and its tag "
            "stays with them: publish to another name, or delete that tag there first"
        )


def _send(
    api: HfApi,
    where: dict[str, Any],
    files: dict[str, Path],
    revision: str | None,
    commit: tuple[str, str | None],
) -> Published:
    """Send the large files, then make everything visible with one commit.

    It has a message and is made on top of another one alone: what came between is not overwritten.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    there = set(api.list_repo_files(**where, revision=revision))
    stale = sorted(file for file in there - files.keys() if file.startswith(OURS))
    adds = [CommitOperationAdd(to, str(file)) for to, file in files.items()]
    for add in adds:
        # One at a time: a call that dies loses the file under way and no other.
        api.preupload_lfs_files(**where, additions=[add], revision=revision, free_memory=False)
    with silent():  # the large files have arrived
        done = api.create_commit(
            **where,
            operations=[*adds, *(CommitOperationDelete(file) for file in stale)],
            commit_message=commit[0],
            parent_commit=commit[1],
            revision=revision,
        )
    size = sum(file.stat().st_size for file in files.values())
    url = f"{api.endpoint}/datasets/{where['repo_id']}"
    log.info("published=%s files=%d bytes=%d stale=%d", url, len(files), size, len(stale))
    return Published(url, done.oid, len(files), size)


def _files(run: RunFiles) -> Iterator[tuple[str, Path]]:
    """Give the files to send by their name on the Hub: no links, no leftovers, nothing hidden."""
    folder = run.path / "dataset"
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        linked = any(p.is_symlink() for p in (file, *file.parents) if p.is_relative_to(folder))
        left = file.suffix in (".tmp", ".lock") or run.is_cut_short(file)
        if file.is_file() and not (hidden or linked or left):
            yield name.as_posix(), file
    if (run.path / "report.html").is_file():
        yield "report.html", run.path / "report.html"


def _check_secret(files: dict[str, Path], token: str, token_env: str) -> None:
    for name, file in files.items():
        if _holds(file, token.encode()):
            raise GateClosed(
                f"{name} contains the value of {token_env}; take it out of the recipe, revoke the "
                "token, and run the recipe again"
            )


def _holds(file: Path, token: bytes) -> bool:
    """Search a file for a token; Parquet is compressed, so what its columns hold is searched."""
    if file.suffix == ".parquet":
        return any(token in text for text in _texts(file))
    with file.open("rb") as opened:
        end = b""
        while chunk := opened.read(CHUNK):
            if token in (chunk := end + chunk):
                return True
            end = chunk[-len(token) :]
    return False


def _texts(file: Path) -> Iterator[bytes]:
    """Give everything that text columns hold, also inside lists and structs, batch by batch."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        leaves = [opened.schema.column(i) for i in range(len(opened.schema))]
        names = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        for batch in opened.iter_batches(4096, columns=names):
            for column in batch.columns:
                whole = column.dictionary_decode() if hasattr(column, "indices") else column
                yield from (part.to_pybytes() for part in whole.buffers() if part)
