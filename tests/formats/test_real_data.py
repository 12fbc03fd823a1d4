"""Real files: every row of each is read, and the known bad lines are found where they are."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from gristmill.errors import InputError
from gristmill.formats.readers import SeedSpec, read, require
from gristmill.pipelines.seeds import seed_rows
from gristmill.storage.rows import SYSTEM, schema_of, to_table

DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere"))
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="GRISTMILL_DATA names no folder with the real data sets"
)

FILES = {
    "alpaca/random_9k.json": (9229, "alpaca"),
    "alpaca/cherry_5_percent.json": (3111, "alpaca"),
    "code_alpaca/new_codealpaca.json": (4535, "alpaca"),
    "code_alpaca/seed_tasks.jsonl": (21, "instruction"),
    "dolly/dolly_3k.json": (2996, "alpaca"),
    "dynosaur/instructions-full.json": (5740, "instruction"),
    "edit_eval/edit_eval.jsonl": (139, "alpaca"),
    "followrag/followRAG_ifnq.json": (700, "prompt"),
    "gpteacher_toolformer/toolformer-dedupe-only-dataset.json": (7673, "alpaca"),
    "gsm8k/train.jsonl": (7473, "question/answer"),
    "gsm8k/example_model_solutions.jsonl": (1055, "question"),
    "human_eval/HumanEval.jsonl": (115, "prompt"),
    "ifeval/responses_gpt4.jsonl": (270, "prompt/response"),
    "instruction_wild/seed_prompts_ch.jsonl": (429, "instruction"),
    "instruction_wild/user_1.jsonl": (429, "instruction"),
    "m_ifeval/responses_o1-mini-2024-09-12.jsonl": (270, "prompt/response"),
    "mbpp/mbpp.jsonl": (682, "text"),
    "muldimif/test.json": (600, "messages"),
    "natural_instructions/task131_scan_long_text_generation_action_command_long.json": (
        1836,
        "definition/input/output",
    ),
    "self_instruct/predictions_davinci.jsonl": (252, "instruction/input/response"),
    "svamp/SVAMP.json": (1000, "question/body/answer"),
    "toolbench/instruction/G1_query.json": (5, "query"),
    "vif_rag/query_rft_score.jsonl": (20, "instruction/response"),
    "vif_rag/seed_instruction.txt": (36, "text"),
    "wizardlm/WizardLM_testset.jsonl": (218, "instruction"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_row_is_read_and_fits_its_columns(name: str) -> None:
    seeds = read(SeedSpec(path=str(DATA / name)))
    assert (len(seeds.rows), seeds.shape) == FILES[name]
    assert seeds.malformed == []
    assert all(row.get("instruction") for row in seeds.rows)
    table = to_table(seed_rows(seeds), schema_of({**seeds.columns, **SYSTEM}))
    assert len(table) == len(seeds.rows)
    assert not any(pa.types.is_null(field.type) for field in table.schema)


@pytest.mark.parametrize(
    ("name", "rows", "lines"), [("user_2", 246, [134, 168]), ("user_3", 198, [10, 121, 122])]
)
def test_the_known_bad_lines_are_kept_aside(name: str, rows: int, lines: list[int]) -> None:
    path = DATA / "instruction_wild" / f"{name}.jsonl"
    seeds = read(SeedSpec(path=str(path)))
    assert (len(seeds.rows), [line.line for line in seeds.malformed]) == (rows, lines)
    raw = path.read_bytes().split(b"\n")
    assert [line.text for line in seeds.malformed] == [
        raw[n - 1].strip().decode()[:500] for n in lines
    ]


def test_a_task_keeps_its_definition() -> None:
    path = DATA / "natural_instructions" / "task307_jeopardy_answer_generation_final.json"
    seeds, task = read(SeedSpec(path=str(path))), json.loads(path.read_text(encoding="utf-8"))
    assert {row["instruction"] for row in seeds.rows} == {task["Definition"]}
    assert [row["input"] for row in seeds.rows] == [one["input"] for one in task["Instances"]]
    told = "Positive Examples, Negative Examples"
    assert seeds.notes == [f"left out beside 'Instances' of {path.name}: {told}"]


ANSWERS = {
    "followrag/followRAG_ifnq.json": "answer_gold",
    "gsm8k/example_model_solutions.jsonl": "ground_truth",
    "human_eval/HumanEval.jsonl": "canonical_solution",
    "ifeval/input_data.jsonl": "YOURS",
    "instruction_wild/user_1.jsonl": "YOURS",
    "mbpp/mbpp.jsonl": "code",
    "muldimif/test.json": "YOURS",
    "self_instruct/user_oriented_instructions.jsonl": "YOURS",
    "vif_rag/query_rft.jsonl": "gpt-answer",
    "wizardlm/WizardLM_testset.jsonl": "YOURS",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_map_suggested_for_the_output_is_right_or_none(name: str) -> None:
    with pytest.raises(InputError, match=f"--map output={ANSWERS[name]}$"):
        require(read(SeedSpec(path=str(DATA / name))), "quality", ["output"])


def test_texts_are_those_of_the_file() -> None:
    path = DATA / "alpaca" / "random_9k.json"
    rows = read(SeedSpec(path=str(path))).rows
    assert rows == json.loads(path.read_text(encoding="utf-8"))


def test_a_folder_of_different_shapes_is_read_as_one() -> None:
    seeds = read(SeedSpec(path=str(DATA / "instruction_wild")))
    assert len(seeds.rows) == 429 * 3 + 246 + 198
    assert len(seeds.malformed) == 5
