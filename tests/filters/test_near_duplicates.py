import pickle
import random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.errors import InputError, RecipeError
from gristmill.filters.near_duplicates import NearDuplicates
from gristmill.pipelines import Recipe
from gristmill.pipelines.plan import check
from tests.filters.conftest import KNOWN
from tests.text.test_shingles import slow as runs

WORDS = [f"w{i}" for i in range(30)]


def table(*texts: str | None) -> pa.Table:
    ids = [f"r{i}" for i in range(len(texts))]
    nothing = pa.nulls(len(ids))
    return pa.table({"id": ids, "instruction": pa.array(texts, pa.string()), "messages": nothing})


def decide(stage: NearDuplicates, *texts: str | None) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = stage.decide(table(*texts)).to_pylist()
    return lines


def one(**changes: Any) -> NearDuplicates:
    return NearDuplicates(fields=("instruction",), **changes)


def test_the_detail_names_the_row_that_stays_and_the_likeness() -> None:
    # 11 and 12 words have 7 and 8 runs of five; 7 are shared: 7 / 8.
    text = "one two three four five six seven eight nine ten eleven"
    lines = decide(one(), "something else entirely", text, f"{text} twelve")
    assert [line["keep"] for line in lines] == [True, True, False]
    assert lines[2]["detail"] == "0.88 of r1"
    assert lines[2]["similarity"] == pytest.approx(7 / 8)
    assert lines[2]["code"] == "near_duplicate"


def test_just_under_the_threshold_stays() -> None:
    text = "one two three four five six seven eight nine ten eleven"
    assert all(line["keep"] for line in decide(one(threshold=0.88), text, f"{text} twelve"))


def test_a_chain_of_small_changes_is_compared_with_rows_that_stay_only() -> None:
    words = " ".join(WORDS[:20])
    chain = [words, f"{words} a b c", f"{words} a b c d e f g h i"]
    lines = decide(
        one(), *chain
    )  # 16 runs; 16/19 = .84; 16/25 = .64 of the first, 19/25 of the second
    assert [line["keep"] for line in lines] == [True, False, True]


def test_short_and_missing_texts() -> None:
    lines = decide(one(), "yes", "Yes!", None, "", "no", None)
    assert [line["keep"] for line in lines] == [True, False, True, True, True, True]
    assert decide(one()) == []


def test_signs_and_numbers_tell_formulas_apart() -> None:
    lines = decide(one(), "Evaluate 6 - (4 + 1)", "Evaluate 6 + (4 + 1)", "Evaluate 6-(4+1).")
    assert [line["keep"] for line in lines] == [True, True, False]


def test_scripts_without_spaces_are_compared_by_character() -> None:
    first, second = "请写一首关于春天的诗歌谢谢你", "请写一首关于春天的诗歌谢谢"
    assert [line["keep"] for line in decide(one(), first, second)] == [True, False]


def test_characters_find_more_in_short_texts() -> None:
    texts = ["Name three kinds of tall trees.", "Name three kinds of tall tree"]
    assert all(line["keep"] for line in decide(one(), *texts))
    assert not decide(one(unit="chars"), *texts)[1]["keep"]


PASSAGE = " ".join(f"p{i}" for i in range(200))


def asked(*rows: tuple[str | None, str | None], **changes: Any) -> list[str | None]:
    """The details of the decisions on rows of an instruction and an input."""
    columns = {
        "id": [f"r{i}" for i in range(len(rows))],
        "instruction": [instruction for instruction, _ in rows],
        "input": pa.array([given for _, given in rows], pa.string()),
        "messages": pa.nulls(len(rows)),
    }
    details: list[str | None] = (
        NearDuplicates(**changes).decide(pa.table(columns))["detail"].to_pylist()
    )
    return details


def test_input_may_be_missing() -> None:
    assert NearDuplicates().reads() == {"instruction", "input", "messages"}
    assert NearDuplicates().optional() == {"input", "messages"}


def test_different_questions_about_one_passage_are_different() -> None:
    first = "Which is the best title for this passage?"
    questions = ["Create three questions about the article.", first.upper(), "Sum it up."]
    details = asked(*((question, PASSAGE) for question in [first, *questions]))
    assert details == [None, None, "1.00 of r0", None]


def test_one_long_instruction_over_different_inputs_is_different() -> None:
    short = [(PASSAGE, "a good film"), (PASSAGE, "a bad film"), (PASSAGE, "A good film!")]
    assert asked(*short) == [None, None, "1.00 of r0"]


def test_likeness_is_that_of_the_field_that_is_least_alike() -> None:
    # 16 runs against 17, and 6 against 7.
    one, other = " ".join(WORDS[:20]), " ".join(WORDS[20:])
    rows = [(one, other), (f"{one} x", f"{other} x")]
    assert asked(*rows) == [None, "0.86 of r0"]
    assert asked(*rows, threshold=0.9) == [None, None]


def test_a_field_that_only_one_row_has_tells_them_apart() -> None:
    rows = [("What is SQL?", None), ("What is SQL?", PASSAGE), ("What is SQL?", "<noinput>")]
    assert asked(*rows) == [None, None, "1.00 of r0"]
    assert asked((None, PASSAGE), ("Sum up.", PASSAGE), ("...", PASSAGE)) == [
        None,
        None,
        "1.00 of r0",
    ]


def test_conversations_that_only_begin_alike_are_different() -> None:
    opener = "Please help me with my homework for tomorrow"
    topics = [
        "Explain why the sky is blue",
        "Write me a poem about a cat",
        "explain why the sky is blue!",
    ]
    rows = [
        {
            "id": f"r{i}",
            "instruction": opener,
            "input": None,
            "messages": [
                {"role": "user", "content": opener},
                {"role": "assistant", "content": "Gladly."},
                {"role": "user", "content": topic},
            ],
        }
        for i, topic in enumerate(topics)
    ]
    found = NearDuplicates(ngram=1).decide(pa.Table.from_pylist(rows))
    assert found["detail"].to_pylist() == [None, None, "1.00 of r0"]


def test_any_column_may_be_compared() -> None:
    turn = {"role": "user", "content": "Go on."}
    rows = [
        {"code": "def add(a, b): return a + b", "tags": ["sum", "two"]},
        {"code": "def ADD(a, b): return a + b", "tags": ["sum", "two"]},
        {"code": "def add(a, b): return a * b", "tags": ["sum", "two"]},
        {"code": "def add(a, b): return a + b", "tags": ["sum", "three"]},
        {"code": None, "tags": None},
    ]
    table = pa.Table.from_pylist(
        [{"id": f"r{i}", "messages": [turn, turn], **row} for i, row in enumerate(rows)]
    )
    one, both = NearDuplicates(fields=("code",)), NearDuplicates(fields=("code", "tags"))
    assert one.decide(table)["detail"].to_pylist() == [None, "1.00 of r0", None, "1.00 of r0", None]
    assert both.decide(table)["detail"].to_pylist() == [None, "1.00 of r0", None, None, None]


@pytest.mark.parametrize(
    ("fields", "missing"),
    [(["code"], "code"), (["instruction", "cod"], "cod"), (["output", "input"], "output")],
)
def test_a_column_that_nothing_writes_is_refused(fields, missing) -> None:
    recipe = Recipe(name="x", stages=[{"use": "filters.near_duplicates", "fields": fields}])
    columns = {"instruction": pa.string()}
    with pytest.raises(RecipeError, match=f"reads '{missing}', but only"):
        check(recipe, columns, {})
    check(recipe, {**columns, **dict.fromkeys(fields, pa.string())}, {})


def slow(rows: list[tuple[str, ...]], threshold: float, unit: str, n: int) -> list[bool]:
    """Every row against every row that stays."""
    kept: list[list[set[str]]] = []
    keep = []
    for row in rows:
        fields = [{*runs(text, unit, n)} for text in row]
        shares = [
            min(len(a & b) / len(a | b) for a, b in zip(fields, other, strict=True) if a | b)
            for other in kept
        ]
        keep.append(max(shares, default=0) < threshold)
        if keep[-1]:
            kept.append(fields)
    return keep


sentences = st.lists(st.sampled_from(WORDS[:6]), min_size=1, max_size=25).map(" ".join)


@given(
    st.lists(sentences, max_size=25), st.sampled_from([0.5, 0.7, 0.9]), st.sampled_from([1, 2, 5])
)
@settings(max_examples=60, deadline=None)
def test_nothing_leaves_that_the_slow_version_keeps(texts, threshold, n) -> None:
    for unit in ("words", "chars"):
        found = [
            line["keep"] for line in decide(one(threshold=threshold, ngram=n, unit=unit), *texts)
        ]
        assert found == slow([(text,) for text in texts], threshold, unit, n)


few = st.lists(st.sampled_from(WORDS[:4]), max_size=12).map(" ".join)


@given(
    st.lists(st.tuples(sentences, few), max_size=25),
    st.sampled_from([0.5, 0.7, 0.9]),
    st.sampled_from([1, 2, 5]),
)
@settings(max_examples=60, deadline=None)
def test_fields_are_compared_one_by_one_as_in_the_slow_version(rows, threshold, n) -> None:
    for unit in ("words", "chars"):
        details = asked(*rows, threshold=threshold, ngram=n, unit=unit)
        assert [why is None for why in details] == slow(rows, threshold, unit, n)


def scored(*scores: float | None, texts: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    text = "one two three four five six seven eight nine ten eleven"
    rows = table(*(texts or (text, f"{text} twelve", "something else entirely")))
    rows = rows.append_column("scores.mine.value", pa.array(scores, pa.float64()))
    lines: list[dict[str, Any]] = one(best="scores.mine.value").decide(rows).to_pylist()
    return lines


def test_the_best_of_like_rows_stays_not_the_first() -> None:
    lines = scored(1.0, 2.0, 0.0)
    assert [line["keep"] for line in lines] == [False, True, True]
    assert lines[0]["detail"] == "0.88 of r1"
    assert [line["id"] for line in lines] == ["r0", "r1", "r2"]
    assert [line["keep"] for line in scored(None, -1.0, None)] == [False, True, True]
    assert [line["keep"] for line in scored(2.0, 2.0, 2.0)] == [True, False, True]
    assert "scores.mine.value" in one(best="scores.mine.value").reads()


def test_a_chain_keeps_its_best_row_and_what_is_not_like_it() -> None:
    words = " ".join(WORDS[:20])
    chain = words, f"{words} a b c", f"{words} a b c d e f g h i"
    assert [line["keep"] for line in scored(1, 3, 2, texts=chain)] == [False, True, False]
    assert [line["keep"] for line in scored(1, 2, 3, texts=chain)] == [True, False, True]


@given(st.lists(sentences, max_size=12), st.randoms())
@settings(max_examples=30, deadline=None)
def test_with_distinct_scores_the_order_of_the_rows_changes_nothing(texts, rng) -> None:
    rows = [
        {"id": f"{i:02}", "instruction": text, "messages": None, "n": i}
        for i, text in enumerate(texts)
    ]
    mixed = rng.sample(rows, len(rows))
    columns = pa.schema(
        {"id": pa.string(), "instruction": pa.string(), "messages": pa.null(), "n": pa.int64()}
    )
    first, second = (
        one(ngram=1, best="n").decide(pa.Table.from_pylist(given, columns))
        for given in (rows, mixed)
    )
    assert first.to_pylist() == second.sort_by("id").to_pylist()


def test_a_row_like_one_of_another_dataset_leaves_with_its_id(published) -> None:
    text = f"{KNOWN[0]['instruction']} twelve"
    stage = one(against=[str(published)])
    lines = decide(stage, "Another text.", text, "name a TREE", text)
    assert [line["keep"] for line in lines] == [True, False, False, False]
    assert lines[1]["detail"] == "0.88 of old-1 in published.jsonl"
    assert lines[2]["detail"] == "1.00 of old-2 in published.jsonl"
    assert all(line["keep"] for line in decide(one(), "Another text.", text))


def test_another_content_of_the_dataset_is_another_stage(published, monkeypatch) -> None:
    stage = one(against=[str(published)])
    assert one(against=[str(published)], pin=stage.pin) == stage
    moved = pickle.dumps(stage)
    monkeypatch.chdir(published.parent)
    assert one(against=["published.jsonl"]).pin == stage.pin
    assert not decide(pickle.loads(moved), "Name a tree.")[0]["keep"]
    published.write_text('{"instruction": "Name a fish."}\n')
    assert one(against=[str(published)]).pin != stage.pin
    with pytest.raises(InputError, match=f"expected {stage.pin}"):
        one(against=[str(published)], pin=stage.pin)


def test_another_dataset_that_cannot_be_compared_is_an_error(published, tmp_path) -> None:
    with pytest.raises(InputError, match=r"^against: no file or folder"):
        one(against=[str(tmp_path / "none.jsonl")])
    stage = NearDuplicates(fields=("code",), against=(str(published),))
    with pytest.raises(InputError, match=r"against: no row has \['code'\]"):
        stage.decide(pa.table({"id": ["a"], "code": ["x"], "messages": pa.nulls(1)}))


def test_nearly_every_pair_at_the_threshold_is_found() -> None:
    rng, found = random.Random(0), 0
    for i in range(200):
        common = [f"{i}-{rng.random()}" for _ in range(70)]
        sides = [[f"{side}{i}-{rng.random()}" for _ in range(15)] for side in "ab"]
        pair = [" ".join(x.replace("-", "").replace(".", "") for x in common + s) for s in sides]
        found += not decide(one(ngram=1), *pair)[1]["keep"]  # 70 of 100 runs are shared
    assert found >= 199
