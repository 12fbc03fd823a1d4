"""What every filter promises, for all that exist: found by walking the folder, no list to keep.

A filter is built with its defaults and answered by rule. Columns that are not those of every row
are numbers, unless `GIVEN` or `MORE` says otherwise.
"""

import ast
import asyncio
import importlib
import inspect
import json
import pkgutil
import random
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pyarrow as pa
import pytest
from audit import audit

from gristmill import filters, run
from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.requests import Choice, Completion, Embed, Generate, Op, Probs, Vector
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.engines.scripted import last
from gristmill.errors import PromptTooLong
from gristmill.pipelines import Context, Drop, LocalRunner, Recipe, RowStage, TableStage
from gristmill.pipelines.stage import Stage
from gristmill.publishing.files import RunFiles
from gristmill.storage.answers import Answers
from gristmill.storage.rows import CONTENT

ALL = [m.name for m in pkgutil.iter_modules(filters.__path__)]
TINY = Path(__file__).parents[1] / "data" / "benchmarks.json"
GIVEN: dict[str, dict[str, Any]] = {
    "contamination": {"benchmarks": ("tiny",), "registry": str(TINY)},
    "copied_examples": {"examples": str(TINY.parent / "tiny_benchmark.jsonl")},
    "related_passage": {"passages": ("Primes are odd but for two.", "Geese live on grass.")},
    "rewritten": {"made_from": "parent"},
    "score_range": {"of": "number", "below": 2.0},
    "second_look": {"rate": 1.0},
    "semantic_contamination": {"benchmarks": ("tiny",), "registry": str(TINY)},
    "where": {"where": "number < 2"},
}
"""Settings that a filter has no default of, or one by which it would look at few rows."""
MORE = {
    "code": "import json\n\n\ndef load(text):\n    return json.loads(text)\n",
    "gen": None,
    "image": "data:image/png;base64,QUJD",
    "meta.auto_if_checks.functions": ["def evaluate(response):\n    return True"],
    "meta.glan.concepts": ["prime", "sieve of Eratosthenes"],
    "meta.skill_mix.criteria": ["The text is a metaphor."],
    "meta.skill_mix.limit": 3,
    "meta.skill_mix.skills": ["metaphor"],
    "meta.wave_coder.task_name": "generation",
    "parent": "Name some primes.",
    "topic": "Sewing",
    "verdicts.unit_tests.detail": None,
    "verdicts.unit_tests.flaky": None,
    "verdicts.unit_tests.status": "",
}
"""Columns that are no numbers."""


class Ruled(Engine):
    """Answers by rule: by the letters of the request."""

    ops: ClassVar[frozenset[Op]] = frozenset(get_args(Op))
    fits: int | None = None
    """Characters of the longest request; a sandbox takes no longer program either."""

    @property
    def identity(self) -> str:
        return "ruled"

    async def embed(self, request: Embed) -> Vector:
        counts = np.array([request.text.count(letter) for letter in "aeionrst"], np.float32) + 1
        return Vector(counts / np.linalg.norm(counts), 1, cut=False)

    def _fit(self, text: str) -> None:
        if self.fits is not None and len(text) > self.fits:
            raise PromptTooLong(f"{len(text)} characters, at most {self.fits} fit")

    async def generate(self, request: Generate) -> Completion:
        self._fit(last(request.prompt))
        words = ("easy", "very hard", "related", "unrelated", "")
        return Completion(words[len(last(request.prompt)) % 5], "stop", 1, 1, "ruled")

    see = generate

    async def choice(self, request: Choice) -> Probs:
        self._fit(last(request.prompt))
        first, *others = request.labels
        rate = len(last(request.prompt)) % 10 / 10
        return Probs({first: rate} | {one: (1 - rate) / len(others) for one in others}, 1.0, 1)

    async def run(self, request: Program) -> Verdict:
        assert self.fits is None or len(str(request)) <= self.fits, "bounded by the filter"
        return Verdict("fail", detail="odd")


def built(name: str, tmp_path: Path) -> Any:
    given = dict(GIVEN.get(name, {}))
    if name == "corrected":
        path = tmp_path / "corrected.jsonl"
        path.write_text(json.dumps({"id": "row00", "rejected": "There are more."}) + "\n")
        given["corrections"] = (str(path),)
    module = importlib.import_module(f"gristmill.filters.{name}")
    found = (c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Stage))
    return next(c for c in found if c.__module__ == module.__name__)(**given)


def said(*turns: tuple[str, str | None]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content, "extra": None} for role, content in turns]


CUT = ("semantic_contamination", "very_hard")
"""Filters by which a row stays that no model can read: an embedder reads its beginning, and of no
level is not very hard."""


ODD: list[dict[str, Any]] = [
    {"instruction": "Name some primes, please do.", "output": "Two, three, five."},
    {"instruction": "Name some primes, please do!", "input": "<noinput>", "output": "Two."},
    {"instruction": "", "input": "", "output": ""},
    {"instruction": None, "input": None, "output": None},
    {"instruction": "Word", "input": "word", "output": "word"},
    {"instruction": " \n\t", "input": "\r\n", "output": "\u2028\u2029\x85"},
    {"instruction": "\U0001f600\U0001f468\u200d\U0001f469", "output": "\U0001f64f" * 90},
    {"instruction": "Сколько будет два и 三加四 φ مرحبا?", "output": "Это один 二 φ ثلاثة " * 20},
    {"instruction": "One line.\r\nAnother\u2028line.", "output": "a\r\nb\rc\u2028d\x0be"},
    {"instruction": "One line.\nAnother\nline.", "output": "a\nb\nc\nd\ne"},
    {"instruction": "\ud800 alone", "output": "\u202eodd\x00 \ufffd \ufeff \udfff"},
    {"instruction": "(" * 300, "output": "```python\n" + "[{" * 300},
    {"instruction": "1 " * 300, "input": "@" * 300, "output": "a@" * 300, "flags": ["seen"]},
    {"instruction": "{text} [insert text] <|im_end|>", "output": "I'm sorry, but I can't. " * 9},
    {"messages": said(("user", "One?"), ("assistant", "First."), ("user", "Two?"))},
    {"messages": said(("system", ""), ("user", "\u2028"), ("assistant", None))},
    {"messages": []},
]  # fmt: skip
"""Rows as nobody wants them."""


def rows_of(stage: Any) -> list[dict[str, Any]]:
    """Give every row what a filter reads; numbers and vectors are there for some only."""
    made = []
    for i, row in enumerate(ODD):
        rest = {name: MORE.get(name, i % 4 or None) for name in stage.reads() - CONTENT.keys()}
        points = [float(i % 5), 1.0]
        rest |= {n: None if i % 4 == 3 else points for n in rest if n.endswith(".vector")}
        shown = row if stage.needs() == {} else {key: whole(value) for key, value in row.items()}
        made.append({**dict.fromkeys(stage.reads()), **rest, **shown, "id": f"row{i:02}"})
    return made


def whole(value: Any) -> Any:
    """Return a text as it can be stored: half of a pair of surrogates is no character."""
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def table_of(stage: Any, rows: list[dict[str, Any]]) -> pa.Table:
    kinds = {name: CONTENT.get(name) for name in stage.reads() - {"id"}}
    kinds |= {n: pa.list_(pa.float32()) for n in kinds if n.endswith(".vector")}
    columns: dict[str, Any] = {"id": pa.array([row["id"] for row in rows], pa.string())}
    for name, kind in sorted(kinds.items()):
        columns[name] = pa.array([whole(row.get(name)) for row in rows], kind)
    return pa.table(columns)


@pytest.fixture
def fits() -> int | None:
    """Characters of the longest request."""
    return None


@pytest.fixture
def client(tmp_path, fits):
    answers = Answers(tmp_path / "answers.sqlite")
    yield Client(Ruled(fits=fits), answers)
    answers.close()


def call(stage: Any, given: Any, client: Client, name: str) -> Any:
    """Give a row, or a table, to a filter."""
    act = stage if isinstance(stage, RowStage) else stage.decide
    if not stage.awaits():
        return act(given)

    async def go() -> Any:
        return await act(given, Context(dict.fromkeys(stage.needs(), client), 0, "label", name))

    return asyncio.run(go())


def decided(stage: Any, rows: list[dict[str, Any]], client: Client) -> list[Any]:
    """Return what a filter makes of rows, each a Drop or its columns."""
    if isinstance(stage, RowStage):
        views = [{name: row.get(name) for name in stage.reads()} for row in rows]
        kept = deepcopy(views)
        made = [call(stage, v, client, row["id"]) for v, row in zip(views, rows, strict=True)]
        assert views == kept, "a filter changes no row"
        return made
    lines = call(stage, table_of(stage, rows), client, "id").to_pylist()
    assert [line["id"] for line in lines] == [row["id"] for row in rows], "no silent drop"
    assert all((line["code"] is None) == line["keep"] for line in lines)
    return [
        {name: line[name] for name in stage.writes()}
        if line["keep"]
        else Drop(line["code"], line["detail"])
        for line in lines
    ]


@pytest.mark.parametrize("name", ALL)
def test_an_odd_row_stays_or_leaves_with_a_declared_code(name, client, tmp_path) -> None:
    stage = built(name, tmp_path)
    for out in decided(stage, rows_of(stage), client):
        if isinstance(out, Drop):
            assert out.code in stage.codes
            assert out.detail.strip(), "no evidence"
        else:
            assert out.keys() <= stage.writes().keys()
            for column, value in out.items():
                pa.array([value], stage.writes()[column])


@pytest.mark.parametrize("name", ALL)
def test_no_filter_rejects_a_row_without_evidence_in_its_source(name) -> None:
    """Also of codes that no odd row gets: a Drop has a code and what was found."""
    module = importlib.import_module(f"gristmill.filters.{name}")
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Drop":
            told = [*node.args, *(word.value for word in node.keywords)]
            assert len(told) == 2, ast.unparse(node)
            assert getattr(told[1], "value", None) != "", ast.unparse(node)


@pytest.mark.parametrize("name", ALL)
def test_a_second_time_decides_the_same_and_ids_may_repeat(name, client, tmp_path) -> None:
    stage = built(name, tmp_path)
    rows = rows_of(stage)
    first = decided(stage, rows, client)
    assert str(decided(stage, rows, client)) == str(first)
    if not (stage.needs() or name == "corrected"):  # requests and corrections go by the id
        same = decided(stage, [{**row, "id": "same"} for row in rows], client)
        assert [isinstance(out, Drop) for out in same] == [isinstance(out, Drop) for out in first]


@pytest.mark.slow
@pytest.mark.parametrize(
    "part", ["[", "![", "a ", "1.", "http://", "@ ", "```\n", "\U0001f600", "\u0130"]
)
@pytest.mark.parametrize("fits", [200_000], ids=[""])
@pytest.mark.parametrize("name", ALL)
def test_a_megabyte_of_anything_is_read_once(name, part, client, tmp_path) -> None:
    """One that every place looks into anew would take hours. What fits no model is rejected."""
    stage = built(name, tmp_path)
    text = part * (1_000_000 // len(part)) + "!"
    row = rows_of(stage)[0]
    said = {key for key, value in row.items() if key != "id" and isinstance(value, str)}
    long = dict.fromkeys((*said, "instruction", "input", "output", "parent"), text)
    try:
        (out,) = decided(stage, [{**row, **long}], client)
    except PromptTooLong:
        assert isinstance(stage, RowStage), "no row is to blame where a table fails"
        return  # the run rejects the row with a code
    assert not isinstance(out, Drop) or len(out.detail) <= 1000, "evidence, not the text again"
    if stage.needs():
        assert isinstance(out, Drop) or name in CUT


@pytest.mark.parametrize("name", ALL)
def test_no_rows_give_none(name, client, tmp_path) -> None:
    stage = built(name, tmp_path)
    if isinstance(stage, TableStage) and stage.scope == "table":  # siblings are at least one
        assert decided(stage, [], client) == []


BEFORE: dict[str, list[dict[str, Any]]] = {
    "collapse": [{"use": "scorers.embedding"}],
    "first_passing": [{"use": "generators.responses"}, {"use": "verifiers.final_number"}],
    "majority": [{"use": "generators.responses"}],
    "semantic_duplicates": [{"use": "scorers.embedding"}],
    "verdict": [{"use": "verifiers.final_number"}],
}
"""Stages that write what a filter reads."""
WITHIN = {name: {"of": "final_number"} for name in ("first_passing", "verdict")}
OF_OTHERS = (
    "auto_if_checks",
    "back_translation",
    "bloom_level",
    "invented_relations",
    "skill_mix_grades",
    "used_concepts",
    "wave_coder_judge",
)
"""Filters that only read what one generator wrote; each looks at a row alone."""


def seeds_of(n: int) -> list[dict[str, Any]]:
    """Give odd rows, and like ones of which each is there twice, as a reader gives them."""
    odd = [{key: whole(value) for key, value in row.items()} for row in ODD if "output" in row]
    like = [
        {"instruction": f"Name {i % 7} primes, please do.", "output": f"Two, {i % 5}. " * (i % 3)}
        for i in range(n)
    ]
    own = {"code": MORE["code"], "parent": MORE["parent"], "lang": "en", "chosen": "Two."}
    rows = [{**own, **row, "flags": None} for row in (*odd, *like, *like[:3])]
    for i, row in enumerate(rows):
        row |= {"number": i % 4 or None, "reference": str(i % 5)}
        row |= {"prompt": row["instruction"], "rejected": row["output"], "image": MORE["image"]}
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALL if name not in OF_OTHERS])
def test_order_shards_and_concurrency_keep_the_same_rows(name, tmp_path) -> None:
    stage = built(name, tmp_path)
    settings = stage.model_dump(mode="json", include=stage.model_fields_set)
    use = {"use": f"filters.{name}", **settings, **WITHIN.get(name, {})}
    recipe = Recipe(name="one", stages=[*BEFORE.get(name, []), use])
    roles = ("generator", "judge", "embedder", "sandbox", "viewer")
    rows = seeds_of(20)

    def once(given: list[dict[str, Any]], runner: LocalRunner, folder: str) -> Any:
        engines = {role: Ruled() for role in roles}
        made = run(recipe, given, engines, runner, tmp_path / folder)
        assert audit(made.path) == []
        ends = RunFiles.open(made.path).rows.sort("id")
        return made.dataset.to_pylist(), ends.rows(), made.ledger

    shuffled = random.Random(name).sample(rows, len(rows))
    runner = LocalRunner(rows_per_shard=3, in_flight=5)
    assert once(shuffled, runner, "second") == once(rows, LocalRunner(), "first")
