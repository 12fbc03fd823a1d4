import asyncio
import math
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gristmill.engines.client import Client
from gristmill.engines.fitting import share_of_rate
from gristmill.engines.logprobs import Logprobs
from gristmill.engines.models import fingerprint, public_name
from gristmill.engines.requests import Score
from gristmill.engines.trainer import Trainer
from gristmill.engines.training import Pair, Ranked, Train, Trained, pair
from gristmill.errors import EngineError, PromptTooLong, RecipeError, RequirementError, StageError
from gristmill.storage.answers import Answers
from gristmill.storage.ids import digest


def lesson(i: int, **changes: Any) -> Pair:
    asked = [{"role": "user", "content": f"Write line {i}."}]
    return replace(Pair(f"row{i:02}", asked, f"import json  # line {i}"), **changes)  # type: ignore[arg-type]


LESSONS = tuple(lesson(i) for i in range(8))
OTHERS = tuple(lesson(i) for i in range(80, 82))
FAST = {"epochs": 2, "learning_rate": 3e-3, "batch_size": 4, "warmup_rate": 0.0}


def train(tiny: Path, folder: Path, request: Train, **changes: Any) -> Trained:
    engine = Trainer(**{"model": str(tiny), **FAST, **changes}).in_workspace(folder)

    async def go() -> Trained:
        await engine.start()
        try:
            return await engine.train(request)
        finally:
            await engine.stop()

    return asyncio.run(go())


def losses(trained: Trained, checkpoint: int) -> dict[str, float]:
    lines = trained.losses.to_pylist()
    return {line["id"]: line["nll"] for line in lines if line["checkpoint"] == checkpoint}


def scored(model: str, pairs: Sequence[Pair]) -> dict[str, float]:
    async def go() -> list[Any]:
        engine = Logprobs(model=model)
        await engine.start()
        try:
            asked = (engine.score(Score(p.context, p.response)) for p in pairs)
            return await asyncio.gather(*asked)
        finally:
            await engine.stop()

    return {p.id: a.mean_nll for p, a in zip(pairs, asyncio.run(go()), strict=True)}


@pytest.fixture(scope="module")
def once(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("once")
    return train(tiny, folder, Train(LESSONS, OTHERS, seed=3), checkpoints=2)


def test_before_training_the_losses_are_those_of_the_log_prob_engine(tiny, once) -> None:
    assert losses(once, 0) == pytest.approx(scored(str(tiny), LESSONS + OTHERS), abs=1e-4)


def test_the_saved_model_has_the_losses_of_the_last_checkpoint(once) -> None:
    assert losses(once, 2) == pytest.approx(scored(once.model, LESSONS + OTHERS), abs=1e-4)


def test_losses_fall_from_checkpoint_to_checkpoint(once) -> None:
    assert set(once.losses["checkpoint"].to_pylist()) == {0, 1, 2}
    means = [sum(losses(once, c)[p.id] for p in LESSONS) for c in range(3)]
    assert means[0] > means[1] > means[2]
    assert len(once.losses) == 3 * 10


def test_two_trainings_are_the_same_to_the_bit_whatever_the_order(tiny, once, tmp_path) -> None:
    other = Train(LESSONS[::-1], OTHERS[::-1], seed=3)
    again = train(tiny, tmp_path, other, checkpoints=2, batch_tokens=1024)
    assert again.losses.equals(once.losses)
    assert fingerprint(again.model) == fingerprint(once.model)
    assert Path(again.model).name == Path(once.model).name
    seeded = train(tiny, tmp_path, replace(other, seed=4), checkpoints=2)
    assert losses(seeded, 0) == losses(once, 0)
    assert losses(seeded, 2) != losses(once, 2)


def test_a_held_out_row_is_scored_and_changes_nothing(tiny, once, tmp_path) -> None:
    alone = train(tiny, tmp_path, Train(LESSONS, seed=3), checkpoints=2)
    assert losses(alone, 2) == pytest.approx({p.id: losses(once, 2)[p.id] for p in LESSONS})


def test_a_weight_of_two_is_the_row_twice(tiny, tmp_path) -> None:
    twice = Train((lesson(0), lesson(1), lesson(0, id="copy")))
    heavy = Train((lesson(0, weight=2.0), lesson(1)))
    even = Train((lesson(0), lesson(1)))
    made = [train(tiny, tmp_path, request, batch_size=3) for request in (twice, heavy, even)]
    assert losses(made[1], 1)["row00"] == pytest.approx(losses(made[0], 1)["row00"], abs=1e-5)
    assert abs(losses(made[2], 1)["row00"] - losses(made[0], 1)["row00"]) > 1e-4


def test_a_weight_of_zero_is_scored_and_never_trained(tiny, tmp_path) -> None:
    silent = lesson(9, weight=0.0)
    with_it = train(tiny, tmp_path, Train((*LESSONS, silent)))
    without = train(tiny, tmp_path, Train(LESSONS, (replace(silent, weight=1.0),)))
    assert losses(with_it, 1) == losses(without, 1)


def test_parts_of_a_batch_add_up_to_the_batch(tiny, tmp_path) -> None:
    whole = train(tiny, tmp_path / "a", Train(LESSONS), batch_size=8)
    parts = train(tiny, tmp_path / "b", Train(LESSONS), batch_size=8, batch_tokens=60)
    assert losses(parts, 1) == pytest.approx(losses(whole, 1), abs=1e-4)


def plain(folder: Path, pairs: Sequence[Pair], seed: int, how: dict[str, Any]) -> dict[str, float]:
    """Train one sequence at a time, with all logits: what the engine must agree with."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    ids, begins = {}, {}
    for p in pairs:
        before, after = (
            tokenizer(text, add_special_tokens=False)["input_ids"]
            for text in (f"<|user|>\n{p.context[0]['content']}<|end|>\n<|assistant|>\n", p.response)  # type: ignore[index]
        )
        ids[p.id], begins[p.id] = [*before, *after, tokenizer.eos_token_id], len(before)

    def nlls(p: Pair) -> Any:
        logs = torch.log_softmax(model(torch.tensor([ids[p.id]])).logits[0], 1)
        return torch.stack(
            [-logs[i - 1, ids[p.id][i]] for i in range(begins[p.id], len(ids[p.id]))]
        )

    flat = [w for w in model.parameters() if w.ndim < 2]
    groups = [
        {"params": [w for w in model.parameters() if w.ndim > 1]},
        {"params": flat, "weight_decay": 0},
    ]
    optimizer = torch.optim.AdamW(groups, 1.0, weight_decay=how["weight_decay"])
    size, number = how["batch_size"], 0
    n_updates = how["epochs"] * math.ceil(len(pairs) / size)
    for epoch in range(how["epochs"]):
        order = sorted(pairs, key=lambda p: p.id)
        Random(digest(seed, epoch)).shuffle(order)
        for batch in (order[i : i + size] for i in range(0, len(order), size)):
            number += 1
            for group in optimizer.param_groups:
                group["lr"] = how["learning_rate"] * share_of_rate(
                    number, n_updates, how["warmup_rate"]
                )
            losses = [(p.weight, nlls(p)) for p in batch]
            loss = sum(w * x.sum() for w, x in losses) / sum(w * len(x) for w, x in losses)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    with torch.no_grad():
        return {p.id: float(nlls(p)[:-1].mean()) for p in pairs}


def test_a_training_agrees_with_one_sequence_at_a_time(tiny, tmp_path) -> None:
    pairs = [lesson(i, response="import json " * (i + 1), weight=0.5 + i % 3) for i in range(7)]
    how = {**FAST, "batch_size": 3, "warmup_rate": 0.3, "weight_decay": 0.5, "epochs": 3}
    made = train(tiny, tmp_path, Train(tuple(pairs), seed=5), batch_tokens=80, **how)
    assert losses(made, 1) == pytest.approx(plain(tiny, pairs, 5, how), abs=1e-4)


SCORED = (("import json", 0.3), ("import os", 0.1), ("import sys", 0.9), ("def f():", 1.0))
"""0.3 and 0.1 are no more than 0.2 apart: they are no pair."""


def ranked(one: Pair, **changes: Any) -> Ranked:
    candidates, scores = zip(*SCORED, strict=True)
    made = Ranked(one.id, one.context, one.response, one.weight, candidates, scores)
    return replace(made, **changes)


def test_a_ranking_trains_by_the_loss_that_the_scorer_tells(tiny, tmp_path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    pairs = [ranked(lesson(0)), lesson(1, weight=2.0)]
    how = {"epochs": 1, "batch_size": 2, "weight_decay": 0.0, "learning_rate": 1e-2}
    made = train(tiny, tmp_path, Train(tuple(pairs)), batch_tokens=64, **how)
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny)
    model: Any = AutoModelForCausalLM.from_pretrained(tiny)

    def log_probs(i: int, text: str, end: str) -> Any:
        before, after = (
            tokenizer(one, add_special_tokens=False)["input_ids"]
            for one in (f"<|user|>\nWrite line {i}.<|end|>\n<|assistant|>\n", f"{text}{end}")
        )
        logs = torch.log_softmax(model(torch.tensor([[*before, *after]])).logits[0], 1)
        places = range(len(before) - 1, len(before) + len(after) - 1)
        return torch.stack([logs[i, id_] for i, id_ in zip(places, after, strict=True)])

    shares = torch.stack([log_probs(0, text, "").mean() for text, _ in SCORED]).softmax(0)
    pairs_of = [(2, 0), (2, 1), (3, 0), (3, 1)]  # the better one first
    wrong = sum(torch.relu(0.3 - (shares[b] - shares[a])) for b, a in pairs_of)
    first, second = (-log_probs(i, LESSONS[i].response, "<|end|>") for i in (0, 1))
    loss = ((wrong + 1) * first.sum() + 2 * second.sum()) / (len(first) + 2 * len(second))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    torch.optim.AdamW(model.parameters(), how["learning_rate"], weight_decay=0.0).step()
    with torch.no_grad():
        found = {f"row{i:02}": -float(log_probs(i, LESSONS[i].response, "").mean()) for i in (0, 1)}
    assert losses(made, 1) == pytest.approx(found, abs=1e-4)
    plainly = train(tiny, tmp_path, Train((lesson(0), pairs[1])), **how)
    assert losses(plainly, 1)["row00"] != pytest.approx(found["row00"], abs=1e-3)


def test_candidates_come_to_be_ranked_by_their_scores(tiny, tmp_path) -> None:
    asked = [replace(lesson(0), response=text) for text, _ in SCORED]
    ends = []
    for scores in ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)):
        request = Train((ranked(lesson(0), scores=scores),))
        made = train(tiny, tmp_path, request, epochs=8, learning_rate=1e-3)
        first, *_, last = [scored(made.model, [one])["row00"] for one in asked]
        ends.append(last - first)
    assert ends[0] > ends[1] + 0.5, "what ranks first is the likelier, whichever it is"


def test_the_learning_rate_grows_then_falls_along_a_cosine() -> None:
    shares = [share_of_rate(i, 10, 0.2) for i in range(1, 11)]
    assert shares[:3] == [0.5, 1.0, 1.0]
    assert shares[6] == pytest.approx(0.5)
    assert shares[9] == pytest.approx(0.0380602)
    assert share_of_rate(1, 1, 0.0) == share_of_rate(1, 1, 1.0) == 1.0


def test_checkpoints_are_evenly_spaced_and_at_most_one_per_update(tiny, tmp_path) -> None:
    def marks(k: int) -> int:
        made = train(tiny, tmp_path, Train(LESSONS), checkpoints=k, epochs=1)
        return len(set(made.losses["checkpoint"].to_pylist()))

    assert (marks(1), marks(2), marks(9)) == (2, 3, 3)


def test_mixed_precision_trains_float32_weights_and_saves_what_came_in(
    tiny, once, tmp_path
) -> None:
    from transformers import AutoConfig

    made = train(tiny, tmp_path, Train(LESSONS, seed=3), checkpoints=2, dtype="bfloat16")
    assert losses(made, 2) == pytest.approx({p.id: losses(once, 2)[p.id] for p in LESSONS}, abs=0.1)
    assert losses(made, 2) != losses(once, 2)
    assert str(AutoConfig.from_pretrained(made.model).dtype) == "torch.float32"


def test_a_model_learns_where_an_answer_ends(tiny, tmp_path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = train(tiny, tmp_path, Train(LESSONS), epochs=15)
    tokenizer: Any = AutoTokenizer.from_pretrained(made.model)
    text = f"<|user|>\nWrite line 1.<|end|>\n<|assistant|>\n{LESSONS[1].response}"
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    shares = [
        AutoModelForCausalLM.from_pretrained(folder)(ids).logits[0, -1].softmax(0)[end].item()
        for folder in (str(tiny), made.model)
    ]
    assert shares[1] > 10 * shares[0]


def test_what_does_not_fit_is_cut_or_skipped_and_counted(tiny, tmp_path, caplog) -> None:
    long = lesson(1, response="import json " * 60)
    full = lesson(2, context="import json " * 90)
    empty = lesson(3, response="")
    with caplog.at_level("INFO", "gristmill.engines.fitting"):
        made = train(tiny, tmp_path, Train((lesson(0), long, full, empty)), max_model_len=64)
    assert (made.n_cut, made.n_skipped) == (1, 2)
    assert "cut=1 skipped=2" in caplog.text
    found = losses(made, 1)
    assert (found["row02"], found["row03"]) == (None, None)
    assert math.isfinite(found["row01"])
    with pytest.raises(PromptTooLong, match=r"of 1 row of a .* fits max_model_len=64"):
        train(tiny, tmp_path, Train((full,)), max_model_len=64)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((), "0 rows, none with a weight above 0"),
        ((lesson(1, weight=0.0),), "1 row, none with a weight"),
        ((lesson(1), lesson(1)), "the id 'row01' twice"),
        ((lesson(1, weight=-1.0),), "the weight -1.0"),
        ((lesson(1, weight=math.nan),), "the weight nan"),
    ],
)
def test_rows_that_no_training_can_use_are_refused(rows, message) -> None:
    with pytest.raises(StageError, match=message):
        Train(rows)


def test_a_training_that_diverges_says_so_and_writes_no_model(tiny, tmp_path) -> None:
    with pytest.raises(RecipeError, match=r"training diverged.*lower learning_rate"):
        train(tiny, tmp_path, Train(LESSONS), learning_rate=1e30, epochs=4)
    assert not list(tmp_path.rglob("config.json"))


def test_low_rank_without_peft_says_what_to_install(tiny, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(RequirementError, match=r"needs peft.*pip install 'gristmill\[lora\]'"):
        Trainer(model=str(tiny), lora_rank=4).check()


def test_low_rank_additions_are_merged_into_the_saved_model(tiny, tmp_path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    how = {"lora_rank": 4, "learning_rate": 3e-2}
    made = [train(tiny, tmp_path / name, Train(LESSONS), **how) for name in "ab"]
    assert made[0].losses.equals(made[1].losses)
    assert losses(made[0], 0) == pytest.approx(scored(str(tiny), LESSONS), abs=1e-4)
    assert losses(made[0], 1) == pytest.approx(scored(made[0].model, LESSONS), abs=1e-4)
    assert sum(losses(made[0], 1).values()) < sum(losses(made[0], 0).values())
    before, after = (
        AutoModelForCausalLM.from_pretrained(folder).state_dict()
        for folder in (tiny, made[0].model)
    )
    for name, weight in before.items():
        moved = torch.linalg.matrix_rank((after[name] - weight).view(len(weight), -1), atol=1e-5)
        assert moved == (4 if "proj" in name else 0), name


def test_a_stopped_trainer_ends_at_its_next_update(tiny, tmp_path) -> None:
    engine = Trainer(model=str(tiny), **{**FAST, "epochs": 10_000}).in_workspace(tmp_path)

    async def go() -> None:
        await engine.start()
        work = asyncio.create_task(engine.train(Train(LESSONS)))
        await asyncio.sleep(0)
        await engine.stop()
        with pytest.raises(EngineError, match="stopped"):
            await work

    asyncio.run(go())


def test_the_identity_names_what_decides(tiny, once) -> None:
    def name(**changes: Any) -> str:
        return Trainer(model=str(tiny), **changes).identity

    assert name() == name(batch_tokens=64) == name(dtype="float32")
    others = [name(epochs=1), name(learning_rate=1.0), name(template="plain"), name(lora_rank=2)]
    assert len({name(), *others, Trainer(model=once.model).identity}) == 6


def test_a_training_goes_on_from_another_model(tiny, once, tmp_path) -> None:
    further = train(tiny, tmp_path, Train(OTHERS, LESSONS, model=once.model))
    assert losses(further, 0) == pytest.approx(losses(once, 2), abs=1e-4)
    moved = shutil.copytree(once.model, tmp_path / "moved")
    keys = [Train(OTHERS, model=model).key("x") for model in (once.model, str(moved), "")]
    assert keys[0] == keys[1] != keys[2], "the content of a folder is in the key, not its name"


class TestStore:
    """Behind the answer store."""

    def ask(self, tiny: Path, workspace: Path, request: Train) -> tuple[Client, Trained]:
        answers = Answers(workspace / ".gristmill" / "answers.sqlite")
        client = Client(Trainer(model=str(tiny), **FAST).in_workspace(workspace), answers)

        async def go() -> Trained:
            try:
                return (await client.ask(request))[1]  # type: ignore[no-any-return]
            finally:
                await client.stop()

        try:
            return client, asyncio.run(go())
        finally:
            answers.close()

    def test_what_was_trained_is_not_trained_again(self, tiny, tmp_path) -> None:
        request = Train(LESSONS, OTHERS)
        first, made = self.ask(tiny, tmp_path, request)
        second, replayed = self.ask(tiny, tmp_path, request)
        assert (first.made, second.made, second.replayed) == (1, 0, 1)
        assert replayed.losses.equals(made.losses)
        assert (replayed.model, replayed.tokens) == (made.model, made.tokens)
        assert Path(made.model).parent == tmp_path.resolve() / ".gristmill" / "models"

    def test_a_workspace_can_move(self, tiny, tmp_path) -> None:
        self.ask(tiny, tmp_path / "old", Train(LESSONS))
        (tmp_path / "old").rename(tmp_path / "new")
        client, replayed = self.ask(tiny, tmp_path / "new", Train(LESSONS))
        assert client.made == 0
        assert (Path(replayed.model) / "config.json").is_file()

    def test_a_model_that_is_gone_is_made_again(self, tiny, tmp_path) -> None:
        _, made = self.ask(tiny, tmp_path, Train(LESSONS))
        before = fingerprint(made.model)
        shutil.rmtree(made.model)
        client, again = self.ask(tiny, tmp_path, Train(LESSONS))
        assert client.made == 1
        assert (again.model, fingerprint(again.model)) == (made.model, before)

    def test_what_a_kill_left_is_no_model(self, tiny, tmp_path) -> None:
        _, made = self.ask(tiny, tmp_path, Train(LESSONS))
        folder = Path(made.model)
        folder.rename(folder.with_suffix(".part"))
        (folder.with_suffix(".part") / "model.safetensors").write_bytes(b"half")
        client, again = self.ask(tiny, tmp_path, Train(LESSONS))
        assert client.made == 1
        assert scored(again.model, LESSONS[:1])
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_stored_training_is_read_back(once) -> None:
    read = Trained.unpack(once.pack())
    assert read.losses.equals(once.losses)
    assert (read.model, read.n_tokens) == (Path(once.model).name, once.n_tokens)
    assert str(Path(once.model).parent).encode() not in once.pack()


def test_rows_name_a_trained_model_by_its_key(once) -> None:
    assert public_name(once.model) == f"trained:{Path(once.model).name}"
    assert public_name("Qwen/Qwen3-4B") == "Qwen/Qwen3-4B"


def test_a_pair_is_the_last_answer_given_all_before_it() -> None:
    said: list[Any] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
    ]
    assert pair("x", said, 2.0) == Pair("x", said[:3], "d", 2.0)
    assert pair("x", said[:1]) is None
    assert pair("x", [said[0], {"role": "assistant", "content": " "}]) is None
