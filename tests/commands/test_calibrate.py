import json
import re
from pathlib import Path

import pytest

from gristmill.commands.calibrating import compared
from gristmill.errors import InputError
from gristmill.publishing.files import RunFiles
from gristmill.verifiers.final_number import FinalNumber
from tests.publishing.conftest import unlinked

RECIPE = """name: numbers
engines: {}
stages:
  - use: verifiers.final_number
  - use: filters.verdict
    of: final_number
"""


def test_a_judge_is_compared_with_labels_before_its_rows_are_filtered(place, call) -> None:
    (place / "numbers.yaml").write_text(RECIPE)
    given = [("4", True), ("5", False), ("4", False), ("none", True), ("6", None)]
    rows = [
        {"instruction": f"{i}: 2 + 2", "output": output, "reference": "4", "label": label}
        for i, (output, label) in enumerate(given)
    ]
    (place / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, _ = call("calibrate", "numbers.yaml", "labels.jsonl", "--json")
    found = json.loads(out.splitlines()[-1])
    assert code == 0
    assert (found["judge"], found["column"]) == ("numbers", "verdicts.final_number.passed")
    assert (found["rows"], found["compared"]) == (5, 3)
    assert found["agreement_rate"] == pytest.approx(2 / 3)
    assert found["kappa"] == pytest.approx(0.4)  # (2/3 - 4/9) / (1 - 4/9)
    assert found["order_bias_rate"] is None
    assert "kappa 0.400, 95 %: " in call("calibrate", "numbers.yaml", "labels.jsonl")[1]


def test_order_bias_is_the_share_of_rows_on_which_the_orders_disagree() -> None:
    said = [("chosen", True), ("tie", False), ("tie", True), (None, None)]
    rows = [
        {"label": "chosen", "verdicts": {"pairwise": {"winner": winner, "is_consistent": steady}}}
        for winner, steady in said
    ]
    found = compared(rows, "verdicts.pairwise.winner", "label")
    assert (found["compared"], found["order_bias_rate"]) == (3, pytest.approx(1 / 3))


def test_what_length_decides_stands_beside_the_labels() -> None:
    """A judge that takes the longer answer each time, of which people do so half the time."""
    lengths = [(100, 20, "chosen"), (20, 100, "rejected"), (100, 95, "tie"), (100, 95, None)]
    labels = ["chosen", "Chosen", "chosen", "chosen"]
    rows = [
        {"label": label, "verdicts": {"pairwise": {
            "winner": winner, "chosen_chars": a, "rejected_chars": b}}}
        for (a, b, winner), label in zip(lengths, labels, strict=True)
    ]  # fmt: skip
    assert compared(rows, "verdicts.pairwise.winner", "label")["by_length"] == [
        {"difference": "under 10 %", "pairs": 1, "longer_wins": 0.5, "labels": 1.0},
        {"difference": "50 % and more", "pairs": 2, "longer_wins": 1.0, "labels": 0.5},
    ]


def test_without_labels_or_a_judge_nothing_is_measured(place, call) -> None:
    with pytest.raises(InputError, match=r"of 1 row none has both a\.b and a 'label'; see --label"):
        compared([{"a": {"b": 1}}], "a.b", "label")
    code, _, err = call("calibrate", "tiny.yaml", "seeds.jsonl")
    assert code == 2
    assert "recipe 'tiny' has no verifier or scorer to compare" in err


def test_what_was_measured_stands_in_the_card_until_the_judge_changes(
    place, call, monkeypatch
) -> None:
    card = "export: {formats: [alpaca], card: true}\n"
    (place / "numbers.yaml").write_text(RECIPE + card)
    lines = [
        {"instruction": f"{i}: 2 + 2", "output": str(4 + i % 2), "reference": "4", "label": i != 1}
        for i in range(4)
    ]
    (place / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run = "run", "numbers.yaml", "--input", "rows.jsonl", "--no-prefect", "--json"
    before = json.loads(call(*run)[1].splitlines()[-1])
    title = "How far the judges agree with people"
    assert title not in (Path(before["dataset"]) / "README.md").read_text()

    assert call("calibrate", "numbers.yaml", "rows.jsonl")[0] == 0
    code, out, err = call(*run, "--set", "seed=1")
    told = (Path(json.loads(out.splitlines()[-1])["dataset"]) / "README.md").read_text()
    assert (code, "was calibrated" in err) == (0, False)
    assert "| `final_number` | 4 | 75.0% | 0.500 | " in unlinked(told.partition(title)[2])
    behind = told.partition(title)[2].partition("\n## ")[0]
    assert re.search(r"- `final_number`, agreed: `\w{12}` \(`(true|false)`, `\1`\), ", behind)
    [gone] = re.findall(r"not agreed: `(\w{12})` \(`false`, `true`\)\.", behind)
    page = (place / ".gristmill" / "calibrate").glob("*")
    assert gone in {i[:12] for i in RunFiles.open(next(page)).rows["id"]}
    page = (Path(json.loads(out.splitlines()[-1])["run_dir"]) / "report.html").read_text()
    assert '<a href="#judge-final_number">75%</a>' in page
    assert f"<code>{gone}</code> <b>not agreed</b>" in page.partition('id="judge-final_number"')[2]

    monkeypatch.setattr(FinalNumber, "version", FinalNumber.version + 1)
    _, out, err = call(*run, "--set", "seed=2")
    told = (Path(json.loads(out.splitlines()[-1])["dataset"]) / "README.md").read_text()
    assert "final_number: its stage was calibrated (kappa 0.50), but with another" in err
    assert title not in told


LIKES_LENGTH = """name: pairs
engines:
  judge:
    use: scripted
    rules: [["A\\nOak", "Score A: 3/10\\nScore B: 8/10"], ["", "Score A: 8/10\\nScore B: 3/10"]]
stages:
  - use: verifiers.fellowship
export: {card: true}
"""


def test_the_card_says_what_length_decides(place, call) -> None:
    (place / "pairs.yaml").write_text(LIKES_LENGTH)
    rows = [
        {"prompt": f"Tree {i}?", "chosen": texts[i % 2], "rejected": texts[1 - i % 2]}
        for i, texts in enumerate([("Oak.", "A tall and very old tree.")] * 4)
    ]
    (place / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, out, _ = call("run", "pairs.yaml", "--input", "pairs.jsonl", "--no-prefect", "--json")
    told = (Path(json.loads(out.splitlines()[-1])["dataset"]) / "README.md").read_text()
    section = unlinked(told.partition("Whether judges like length")[2])
    assert "| `fellowship` | 50 % and more | 4 | 100% |" in section


CRITICS = """name: critics
engines:
  judge: {use: scripted, rules: [["Constraint\\nDo not", "No."], ["", "Yes."]]}
stages:
  - use: verifiers.decrim_critic
    of: constraints
  - use: filters.length
    min_words: 2
export: {card: true}
"""


def test_the_card_says_how_far_a_critic_agrees_with_programs(place, call) -> None:
    (place / "critics.yaml").write_text(CRITICS)
    asked = [{"cid": cid, "params": {}} for cid in ("punctuation:no_comma", "startend:quotation")]
    rows = [
        {"instruction": f"Name tree {i}.", "output": text, "constraints": asked}
        for i, text in enumerate(["Oak, elm.", '"Ash tree."', '"Fir, elm."', "Yew."])
    ]
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, out, _ = call("run", "critics.yaml", "--input", "rows.jsonl", "--no-prefect", "--json")
    told = (Path(json.loads(out.splitlines()[-1])["dataset"]) / "README.md").read_text()
    section = unlinked(told.partition("## How far critics agree with programs")[2])
    assert "| `decrim_critic` | 8 | 50.0% | 0.000 | " in section
    assert "| 50.0% | 50.0% |" in section, "it approves half of them, and half of them hold"
