import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.errors import GateClosed, InputError, RequirementError, StorageError
from gristmill.publishing import card, environment, hub, report
from gristmill.publishing.checks import problems
from gristmill.publishing.files import RunFiles
from tests.publishing.hub_server import TOKEN, serving

REPO = "someone/rows"
# huggingface_hub's own way of sending a file is deprecated by its HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving() as found:
        yield found


@pytest.fixture
def ready(finished):
    """A run with its card and report, its dataset in five files, and things that must stay."""

    def make() -> Path:
        path: Path = finished(60)
        (whole,) = (path / "dataset" / "data").glob("*.parquet")
        table = pq.read_table(whole)
        whole.unlink()
        n = -(-len(table) // 5)
        for i in range(5):
            name = "validation-00000-of-00001" if i == 4 else f"train-{i:05d}-of-00004"
            pq.write_table(table.slice(i * n, n), whole.parent / f"{name}.parquet")
        environment.write(path)  # as a run does at its end
        card.write(path)
        report.write(path)
        (path / "dataset" / "exports").mkdir()
        (path / "dataset" / "exports" / "messages.jsonl").write_text('{"messages": []}\n')
        (path / "dataset" / ".cache").write_text("hidden")
        (path / "dataset" / "data" / "train.tmp").write_text("half")
        (path / "dataset" / "link").symlink_to(path / "ledger.json")
        return path

    return make


def test_the_dataset_goes_up_private_and_nothing_else_does(ready, server) -> None:
    path = ready()
    done = hub.publish(path, REPO, endpoint=server.url)
    files = server.files(REPO)
    assert sorted(files) == [
        "README.md",
        "croissant.json",
        *(f"data/train-{i:05d}-of-00004.parquet" for i in range(4)),
        "data/validation-00000-of-00001.parquet",
        "environment.txt",
        "exports/messages.jsonl",
        "recipe.yaml",
        "report.html",
    ]
    for name, content in files.items():
        file = path / name if name == "report.html" else path / "dataset" / name
        assert content == file.read_bytes()
    assert server.repos[REPO]["private"] is True
    assert len(server.repos[REPO]["commits"]) == 1
    assert (done.url, done.files) == (f"{server.url}/datasets/{REPO}", 11)
    assert done.commit == server.repos[REPO]["commits"][0]


def test_the_card_for_machines_says_where_it_is_published_and_by_whom(ready, server) -> None:
    hub.publish(ready(), REPO, endpoint=server.url)
    told = json.loads(server.files(REPO)["croissant.json"])
    assert (told["url"], told["creator"]["name"]) == (f"{server.url}/datasets/{REPO}", "someone")


def test_a_dataset_that_was_edited_is_refused(ready, server) -> None:
    path = ready()
    file = path / "dataset" / "data" / "train-00001-of-00004.parquet"
    table = pq.read_table(file)
    said = pa.array(["Edited."] * len(table))
    pq.write_table(table.set_column(table.column_names.index("output"), "output", said), file)
    with pytest.raises(GateClosed, match=r"train-00001-of-00004.parquet of its dataset changed"):
        hub.publish(path, REPO, endpoint=server.url)
    assert server.log == []


def test_a_dataset_that_no_reader_takes_any_more_is_refused(ready, server) -> None:
    path = ready()
    file = path / "dataset" / "data" / "train-00001-of-00004.parquet"
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(GateClosed, match=r"train-00001-of-00004.parquet cannot be read: edited"):
        hub.publish(path, REPO, endpoint=server.url)
    assert server.log == []


def test_a_laxer_licence_than_the_sources_is_refused(ready, server) -> None:
    path = ready()
    file = path / "dataset" / "README.md"
    text = file.read_text().replace("license: other\nlicense_name: psf-2.0", "license: cc0-1.0")
    file.write_text(text)
    with pytest.raises(GateClosed, match=r"states 'cc0-1.0', which is laxer than .* 'psf-2.0'"):
        hub.publish(path, REPO, endpoint=server.url)
    assert server.log == []


def test_a_second_call_sends_no_file_again_and_removes_what_is_gone(ready, server) -> None:
    path = ready()
    hub.publish(path, REPO, endpoint=server.url)
    sent = list(server.puts)
    server.blobs["old"] = b"old"
    server.repos[REPO]["branches"]["main"] |= {"data/train-00009.parquet": "old", "NOTES.md": "old"}
    hub.publish(path, REPO, endpoint=server.url)
    assert server.puts == sent
    assert "data/train-00009.parquet" not in server.files(REPO)
    assert "NOTES.md" in server.files(REPO)


def test_a_revision_leaves_the_main_branch_alone(ready, server) -> None:
    hub.publish(ready(), REPO, endpoint=server.url, revision="v2")
    assert server.files(REPO) == {}
    assert "README.md" in server.files(REPO, "v2")


PUBLISH = """
import sys
from pathlib import Path
from gristmill.publishing.hub import publish
print(publish(Path(sys.argv[1]), sys.argv[2], endpoint=sys.argv[3]))
"""


@pytest.mark.slow
def test_killed_in_the_middle_the_next_call_sends_only_the_rest(ready, server) -> None:
    path = ready()
    large = {
        hashlib.sha256(f.read_bytes()).hexdigest() for f in path.glob("dataset/data/*.parquet")
    }
    server.hold_after = 2
    command = [sys.executable, "-c", PUBLISH, str(path), REPO, server.url]
    env = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "PYTHONPATH": "src"}
    child = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert server.held.wait(60)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    first = list(server.puts)
    assert len(first) == 2  # the kill fell inside the work
    assert server.repos[REPO]["commits"] == []
    assert server.files(REPO) == {}  # nobody sees half a version
    server.hold_after = None
    server.release.set()
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=120)
    assert set(server.puts) == large
    assert len(server.puts) == len(large)
    assert len(server.repos[REPO]["commits"]) == 1
    assert TOKEN not in said.stdout + said.stderr


def test_a_public_repository_is_not_taken_for_a_private_one(ready, server) -> None:
    path = ready()
    hub.publish(path, REPO, endpoint=server.url, private=False)
    assert server.repos[REPO]["private"] is False
    with pytest.raises(GateClosed, match="there already and public"):
        hub.publish(path, REPO, endpoint=server.url)


def test_what_was_looked_at_privately_becomes_public(ready, server) -> None:
    path = ready()
    hub.publish(path, REPO, endpoint=server.url)
    assert server.repos[REPO]["private"] is True
    hub.publish(path, REPO, endpoint=server.url, private=False)
    assert server.repos[REPO]["private"] is False


def test_a_dataset_without_rows_is_refused(tmp_path, server) -> None:
    stages = [{"use": "filters.length", "min_words": 99}]
    seeds = [{"instruction": "a", "output": "b"}]
    made = run(Recipe(name="none", stages=stages), seeds, workspace=tmp_path)
    with pytest.raises(GateClosed, match="has no rows"):
        hub.publish(made.path, REPO, endpoint=server.url)
    assert server.log == []


def test_a_run_that_does_not_add_up_is_refused(ready, server) -> None:
    path = ready()
    next(iter(path.glob("dataset/data/train-*.parquet"))).unlink()
    with pytest.raises(GateClosed, match=r"dataset: .* rows differ from those kept last"):
        hub.publish(path, REPO, endpoint=server.url)
    assert server.log == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda note: note["stages"][2].update(kept=1), "made is not kept"),
        (lambda note: note["stages"][2]["codes"].update(failed_tests=1), "codes do not sum"),
        (lambda note: note["files"].append("shards/00-00/two.parquet"), "1 shards .* two.parquet"),
        (lambda note: note["files"].pop(), "rows differ from those kept last"),
        (lambda note: note["files"].pop(0), "parents are in no file"),
    ],
)
def test_a_ledger_that_was_changed_is_refused(ready, server, change, says) -> None:
    path = ready()
    note = json.loads((path / "ledger.json").read_text())
    change(note)
    (path / "ledger.json").write_text(json.dumps(note))
    with pytest.raises(GateClosed, match=says):
        hub.publish(path, REPO, endpoint=server.url)
    assert server.log == []


def test_an_unfinished_run_is_refused(ready, server) -> None:
    path = ready()
    (path / "ledger.json").unlink()
    with pytest.raises(InputError, match="an unfinished run"):
        hub.publish(path, REPO, endpoint=server.url)


def test_without_a_token_nothing_is_asked(ready, server, monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(RequirementError, match="set HF_TOKEN"):
        hub.publish(ready(), REPO, endpoint=server.url)
    assert server.log == []


def test_a_token_inside_the_files_is_refused_without_showing_it(ready, server) -> None:
    path = ready()
    (path / "dataset" / "recipe.yaml").write_text(f"api_key: {TOKEN}")
    with pytest.raises(GateClosed, match=r"recipe.yaml contains the value of HF_TOKEN") as caught:
        hub.publish(path, REPO, endpoint=server.url)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("name", ["exports/messages.jsonl", "exports/train.csv", "data/notes"])
def test_a_token_is_found_in_files_of_any_kind_and_size(ready, server, name) -> None:
    path = ready()
    for before in (hub.CHUNK - 10, 3 * hub.CHUNK):  # across two chunks, and beyond the first
        (path / "dataset" / name).write_text("x" * before + f'"{TOKEN}"' + "y" * 500)
        with pytest.raises(GateClosed, match=f"{name} contains the value of HF_TOKEN"):
            hub.publish(path, REPO, endpoint=server.url)
    assert server.log == []


@pytest.mark.parametrize(
    "column",
    [
        pa.array([["", f"key {TOKEN}."]]),
        pa.array([[{"role": "user", "content": TOKEN}]]),
        pa.array([TOKEN]).dictionary_encode(),
        pa.array([TOKEN], pa.large_string()),
        pa.array([TOKEN.encode()]),
    ],
    ids=lambda column: str(column.type),
)
def test_a_token_is_found_in_any_text_of_a_parquet_file(ready, server, column) -> None:
    path = ready()
    file = path / "dataset" / "data" / "train-00001-of-00004.parquet"
    table = pq.read_table(file)
    many = pa.chunked_array([column] * len(table), column.type)
    pq.write_table(table.append_column("x", many), file, row_group_size=4)
    with pytest.raises(GateClosed, match=r"train-00001-of-00004.parquet contains the value"):
        hub.publish(path, REPO, endpoint=server.url)
    assert server.log == []


@pytest.mark.parametrize("token", ["hf_wrong", TOKEN])
def test_missing_rights_are_told_from_failures(ready, server, monkeypatch, token) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    server.writable = False
    with pytest.raises(RequirementError, match=r"may not write to someone/rows") as caught:
        hub.publish(ready(), REPO, endpoint=server.url)
    assert token not in str(caught.value)


def test_a_token_that_may_only_read_what_is_there_is_told(ready, server) -> None:
    path = ready()
    hub.publish(path, REPO, endpoint=server.url)
    server.faults = [("/preupload/", 403)]
    with pytest.raises(RequirementError, match=r"HF_TOKEN may not write to someone/rows"):
        hub.publish(path, REPO, endpoint=server.url)
    assert len(server.repos[REPO]["commits"]) == 1


def test_a_bad_name_and_a_dead_hub_are_explained(ready, server) -> None:
    path = ready()
    with pytest.raises(InputError, match="expected owner/name"):
        hub.publish(path, "a b/c", endpoint=server.url)
    with pytest.raises(StorageError, match=r"run the same command again"):
        hub.publish(path, REPO, endpoint="http://127.0.0.1:9")


@pytest.mark.parametrize(
    "sets", [["rounds.n=2"], ["target=7"], ["budget.tokens=300"], ["stages.1.min_chars=9000"]]
)
def test_whole_runs_add_up_whatever_stopped_them(sets, recipe, engine, seeds, tmp_path) -> None:
    result = run(recipe(*sets), seeds(30), {"generator": engine()}, workspace=tmp_path)
    assert problems(RunFiles.open(result.path)) == []
    assert audit(result.path) == []
    card.write(result.path)
    assert report.write(result.path).stat().st_size > 10_000


def test_a_card_edited_on_the_hub_is_not_overwritten_unasked(ready, server) -> None:
    path = ready()
    hub.publish(path, REPO, endpoint=server.url)
    main = server.repos[REPO]["branches"]["main"]
    server.blobs["edited"] = server.files(REPO)["README.md"].replace(b"Nothing here", b"All")
    main["README.md"] = "edited"
    before = dict(main)
    with pytest.raises(GateClosed, match=r"README.md of someone/rows was .* edited on the Hub"):
        hub.publish(path, REPO, endpoint=server.url)
    assert main == before
    hub.publish(path, REPO, endpoint=server.url, replace_card=True)
    assert server.files(REPO)["README.md"] == (path / "dataset" / "README.md").read_bytes()


def test_what_somebody_commits_meanwhile_is_not_overwritten(ready, server) -> None:
    path = ready()
    hub.publish(path, REPO, endpoint=server.url)
    card.write(path)
    (path / "dataset" / "exports" / "messages.jsonl").write_text('{"messages": [1]}\n')
    server.is_busy = True
    with pytest.raises(StorageError, match="the Hub answered 412: somebody else committed"):
        hub.publish(path, REPO, endpoint=server.url)


def test_a_hub_that_stays_busy_is_given_up_with_what_to_do(ready, server) -> None:
    server.faults = [("POST /api/repos/create", 429)] * 30
    with pytest.raises(StorageError, match=r"answered 429: .* run the same command again"):
        hub.publish(ready(), REPO, endpoint=server.url)
    assert 5 < len([line for line in server.log if line == "POST /api/repos/create"]) <= 30


@pytest.mark.slow
def test_a_hub_that_misbehaves_loses_nothing_and_gets_nothing_twice(ready, server) -> None:
    path = ready()
    server.faults = [
        ("POST /api/repos/create", 429),
        ("objects/batch", 500),
        ("PUT /blob", 429),
        ("PUT /blob", 0),
        ("/preupload/", 503),
        ("/commit/main", 0),
        ("/commit/main", 500),
        ("/commit/main", 429),
    ]
    hub.publish(path, REPO, endpoint=server.url)
    assert not server.faults
    assert len(server.puts) == len(set(server.puts)) == 5
    assert len(server.repos[REPO]["commits"]) == 1
    assert server.files(REPO)["README.md"] == (path / "dataset" / "README.md").read_bytes()
