"""What the documents tell people to type: it runs, or the real command line reads it.

A page is followed from its top in a folder of its own. A block with a title is a file; Python and
commands run in order, in this process. A block behind `<!-- needs: ... -->` needs what no test
has (a GPU, a cluster, the Hub): its commands are read by the real command line, their recipes
loaded with what is set, and its code is compiled.
"""

import argparse
import doctest
import importlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from gristmill.cli import main, parser
from gristmill.commands.building import order_of
from gristmill.engines.named import built
from gristmill.pipelines import Recipe, Stage
from tools import run_notebook
from tools.site_pages import inside, made, on_post_page, on_post_template

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *(path for path in sorted(DOCS.rglob("*.md")) if path.parent.name != "adr"),
]
BLOCK = re.compile(
    r"(?ms)^(?:<!-- needs: (?P<needs>[^\n]+?) -->\n+)?"
    r"```(?P<kind>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$"
)
FENCE = re.compile(r"(?m)^```\w")
PASSING = re.compile(r"(?m)(?:(?<=`)|^ {4,})(build-dataset [^`\n]+)")
"""Commands in a line of text, or indented: shown, not followed."""
LINK = re.compile(r"\]\(((?!https?:)[^)\s]+)\)")
BARE = {"run": ["--local", "--no-prefect"], "preview": ["--local"], "forecast": ["--local"]}
"""What a test adds: a Ray and a Prefect server of its own would take half a minute each."""
FOLDERS = ("generators", "filters", "verifiers", "scorers", "selectors")
MADE = {"reference/commands.md", "adr/index.md", "tutorial/notebook.md"}
MADE |= {f"reference/{folder}.md" for folder in FOLDERS}
ELSEWHERE = {"CONTRIBUTING.md": "tests/test_contributing.py follows it literally"}


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    kind: str
    text: str
    title: str | None
    needs: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = [Block(m["kind"], m["text"], m["title"], m["needs"]) for m in BLOCK.finditer(text)]
    assert len(found) == len(FENCE.findall(text)), f"{page}: a block is not read"
    return found


def lines(text: str) -> Iterator[list[str]]:
    """Yield the words of every command."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def read(argv: list[str]) -> argparse.Namespace:
    """Parse a command as the command line does."""
    try:
        return parser().parse_args(argv)
    except SystemExit:
        pytest.fail(f"build-dataset {shlex.join(argv)}: not a command")


def load(argv: list[str]) -> None:
    """Parse a command, and load its recipes with what it sets."""
    args = read(argv)
    for name in [args.recipe, *getattr(args, "more", [])] if "recipe" in args else []:
        args.recipe = name
        order_of(args).load()


class Reader:
    """Somebody who follows a page."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.names: dict[str, object] = {}

    def follow(self, block: Block) -> None:
        if block.title:
            path = self.place / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.kind == "bash":
            for words in lines(block.text):
                self.type(words, block.needs)
        elif block.kind == "python":
            code = compile(block.text, "page", "exec")
            if not block.needs:
                exec(code, self.names)
        elif block.kind == "yaml":
            list(yaml.safe_load_all(block.text)) if block.needs else fragment(block.text)
        else:
            assert block.kind == "json", block.kind
            json.loads(block.text)

    def type(self, words: list[str], needs: str | None) -> None:
        if "build-dataset" in words:
            argv = words[words.index("build-dataset") + 1 :]
            if needs:
                load(argv)
            else:
                argv = [self.row() if word == "ROW" else word for word in argv]
                assert main([*argv, *BARE.get(argv[0], [])]) == 0, argv
        elif words[0] == "make":
            goals = (ROOT / "Makefile").read_text().split(".PHONY:")[1].splitlines()[0].split()
            assert set(words[1:]) <= set(goals)
        else:
            assert needs, f"nobody runs {words}"

    def row(self) -> str:
        """Return the id of a row of the newest run."""
        run = max((self.place / "runs").iterdir(), key=lambda path: path.stat().st_mtime)
        rows = pq.read_table(next((run / "dataset" / "data").glob("*.parquet")))
        return str(rows["id"][0])


def fragment(text: str) -> None:
    """Check a recipe, or a part of one: its stages exist and take these parameters."""
    data = yaml.safe_load(text)
    uses = data if isinstance(data, list) else Recipe.model_validate({"name": "x", **data}).stages
    for use in uses:
        module = importlib.import_module(f"gristmill.{use['use']}")
        built(module, "page", use, Stage)


@pytest.fixture
def reader(tmp_path, monkeypatch) -> Iterator[Reader]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield Reader(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", [p for p in PAGES if p.name not in ELSEWHERE], ids=name_of)
def test_a_page_can_be_followed(page: Path, reader: Reader) -> None:
    for block in blocks(page):
        reader.follow(block)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_command_in_passing_is_one(page: Path) -> None:
    for command in PASSING.findall(page.read_text(encoding="utf-8")):
        words = shlex.split(command.replace("...", ""), comments=True)[1:]
        if len(words) > 1 and not words[0].isupper():
            read(words)


def test_a_command_that_is_no_more_is_found(reader: Reader) -> None:
    for text in ("build-dataset run none_such", "build-dataset run clean --set stages.0.no=1"):
        with pytest.raises(AssertionError):
            reader.follow(Block("bash", text, None, None))
    with pytest.raises(pytest.fail.Exception, match="not a command"):
        reader.follow(Block("bash", "build-dataset run clean --no-such", None, "the Hub"))
    with pytest.raises(AssertionError, match="nobody runs"):
        reader.follow(Block("bash", "rm -r x", None, None))
    with pytest.raises(Exception, match="no_such"):
        reader.follow(Block("yaml", "- use: filters.length\n  no_such: 1\n", None, None))


def test_the_search_of_the_site_has_a_name_for_screen_readers() -> None:
    search = '<div class="md-search" data-md-component="search" role="dialog">'
    assert on_post_page(search) == f'{search[:-1]} aria-label="Search">'
    assert on_post_template(search) == on_post_page(search), "the page where no page is"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '<pre id="x"><span></span><code>a\nb</code></pre><pre><code class="c">d</code></pre>',
            '<pre id="x"><span></span><code><span class="reached" tabindex="0">a\nb</span></code>'
            '</pre><pre><code class="c"><span class="reached" tabindex="0">d</span></code></pre>',
        ),
        ("<table><tr><td><code>a", '<table tabindex="0"><tr><td><code>a'),
        ("<p><code>a</code></p>", "<p><code>a</code></p>"),
    ],
)
def test_the_keyboard_reaches_what_is_wide(before, after) -> None:
    assert on_post_page(before) == after


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", sorted({*PAGES, *DOCS.rglob("*.md")}), ids=name_of)
def test_a_link_leads_to_a_page_that_is_there(page: Path) -> None:
    for link in LINK.findall(re.sub(r"(?s)```.*?```", "", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists() or there.relative_to(DOCS).as_posix() in MADE, link
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), link


def test_every_page_is_in_the_contents_once() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    named = re.findall(r"(?m)^ +- (?:[A-Z][^:]*: )?([\w/-]+\.md)$", text)
    there = {
        str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if path.parent.name != "adr"
    }
    assert sorted(named) == sorted(there | MADE - {"adr/index.md"})


def test_the_pages_that_nobody_writes_say_what_the_code_says() -> None:
    pages = made()
    assert pages.keys() == MADE
    page = pages["reference/commands.md"]
    assert "## run\n\nRun a recipe, or go on with one that stopped." in page
    assert "| `--target N` | rows wanted |" in page
    assert "    build-dataset benchmarks {add,list} [NAME] [PATH]\n" in page
    page = pages["reference/filters.md"]
    assert "| `min_chars`: `int` | `10` | Fewest characters, inclusive. Our choice:" in page
    names = [path.stem for path in (ROOT / "src/gristmill/filters").glob("[a-z]*.py")]
    assert sorted(re.findall(r"(?m)^## (\w+)$", page)) == sorted(names)
    assert "| `of`: `str` | `'embedding'` |" in pages["reference/selectors.md"]
    assert "- [0002. Resume is replay](0002-replay.md)" in pages["adr/index.md"]
    assert "<th>rejected</th>" in pages["tutorial/notebook.md"]


def test_the_notebook_shows_what_its_cells_give() -> None:
    shown = run_notebook.NOTEBOOK.read_text(encoding="utf-8")
    again = run_notebook.run(json.loads(shown))
    assert shown == run_notebook.text(again), "run: python tools/run_notebook.py"


def test_a_link_that_leaves_the_pages_becomes_text() -> None:
    text = "[here](a.md#b), [out](../benchmarks/README.md), [there](https://example.org)"
    assert inside(text, DOCS) == "[here](a.md#b), out, [there](https://example.org)"


def test_every_name_of_the_reference_has_an_example() -> None:
    """In its docstring, whose examples other tests run, or in a block of a page."""
    page = DOCS / "reference" / "python.md"
    shown_there = (block for path in PAGES for block in blocks(path) if block.kind == "python")
    code = "\n".join(block.text for block in shown_there)
    names = re.findall(r"(?m)^::: (\S+)\.(\w+)$", page.read_text(encoding="utf-8"))
    assert {"run", "TableStage", "judge", "Verdict"} <= {name for _, name in names}
    for module, name in names:
        thing = getattr(importlib.import_module(module), name)
        shown = any(test.examples for test in doctest.DocTestFinder().find(thing, name))
        assert shown or re.search(rf"\b{name}\b", code), f"{module}.{name} has no example"


def cluster(start: str) -> str:
    """Return the block of the page on clusters that starts so."""
    [text] = [b.text for b in blocks(DOCS / "how-to" / "cluster.md") if b.text.startswith(start)]
    return text


def test_the_slurm_script_starts_every_node_and_brings_the_answers_back(tmp_path) -> None:
    """Run it with commands that only write down how they were called."""
    programs, scratch, home = (tmp_path / name for name in ("bin", "scratch", "home"))
    for folder in (programs, scratch, home / "datasets" / ".gristmill"):
        folder.mkdir(parents=True)
    says = {
        "scontrol": 'printf "n1\\nn2\\nn3\\nn4\\n"',
        "srun": 'echo "srun $*" >> "$LOG"',
        "sleep": "wait",
        "build-dataset": 'echo "build-dataset $*" >> "$LOG"; mkdir -p "$TMPDIR/runs/one"',
    }
    for name, text in says.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    (home / "datasets" / ".gristmill" / "answers.sqlite").write_text("old")
    told = {
        "HOME": home,
        "TMPDIR": scratch,
        "LOG": tmp_path / "log",
        "SLURM_JOB_NODELIST": "n[1-4]",
    }
    env = {
        **{name: str(value) for name, value in told.items()},
        "PATH": f"{programs}:/usr/bin:/bin",
    }
    script = cluster("#!/bin/bash")
    done = subprocess.run(["bash", "-eu", "-c", script], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    log = (tmp_path / "log").read_text().splitlines()
    starts, [run] = log[:-1], log[-1:]
    assert sorted(starts) == [
        "srun --nodes=1 --ntasks=1 -w n1 ray start --head --port=6379 --block",
        "srun --nodes=3 --ntasks=3 --exclude=n1 ray start --address=n1:6379 --block",
    ]
    words = shlex.split(run)[1:]
    load(words)
    assert (words[3], words[5]) == ("n1:6379", str(scratch))
    assert (home / "datasets" / "runs" / "one").is_dir()
    assert (scratch / ".gristmill" / "answers.sqlite").read_text() == "old"


def test_the_job_for_kubernetes_mounts_what_it_has_and_starts_a_command_that_is_one() -> None:
    job = yaml.safe_load(cluster("apiVersion: ray.io/v1"))
    assert job["kind"] == "RayJob"
    load(shlex.split(job["spec"]["entrypoint"])[1:])
    told = job["spec"]["rayClusterSpec"]
    for group in (told["headGroupSpec"], *told["workerGroupSpecs"]):
        # KubeRay takes texts only: a number is refused when the job is applied.
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        for container in pod["containers"]:
            assert {"name", "image"} <= container.keys()
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes
    [head] = told["headGroupSpec"]["template"]["spec"]["containers"]
    workspace = re.search(r"--workspace (\S+)", job["spec"]["entrypoint"])
    assert workspace
    assert head["volumeMounts"][0]["mountPath"] == workspace[1]
