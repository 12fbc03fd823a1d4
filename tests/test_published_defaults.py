"""Defaults that come from a publication: with another one, a stage would still have the name."""

import importlib
from typing import Any

import pytest

from gristmill.engines.attention import Attention
from gristmill.engines.requests import Sampling
from gristmill.geometry import k_means, spectral
from gristmill.pipelines import Recipe, Stage

PUBLISHED: dict[str, dict[str, Any]] = {
    "scorers.cherry": {"clusters": 100, "per_cluster": 10, "seed": 0},
    "scorers.upd": {"beta": 1.0},
    "scorers.skills": {"most": 5},
    "scorers.context_dependency": {"threshold": 0.6},
    "scorers.masked_thought": {"rate": 0.4, "replace": "mask"},
    "scorers.mftcoder": {"balance": "task_token"},
    "scorers.instruct_mining": {"rule": "v3"},
    "selectors.k_center": {"start": "mean"},
    "selectors.facility_location": {"neighbours": 64, "cells": 0},
    "selectors.paser": {"clusters": 10},
    "selectors.select2reason": {"rate": 0.1, "weight": 0.25},
    "selectors.kmq": {
        "budget": "proportional",
        "update": "softmax",
        "iterations": 300,
        "tries": 5,
        "points_per_cluster": 256,
    },
    "selectors.skill_it": {"rounds": 6, "eta": 0.5, "window": 3},
    "selectors.stat_sel": {"draws": 5, "answers": 3},
    "generators.stat_syn": {"shots": 3, "n": 2},
    "selectors.scale_bio": {"alpha": 100.0, "rate": 0.01, "batch": 128, "still": 1e-3},
    "selectors.gme": {"rule": "utopia", "once": False, "decimals": 5},
    "selectors.contrastive": {"margin": 3.0},
    "selectors.replay": {"rule": "diverse"},
    "selectors.infinity_phase1": {"n_buckets": 10_000},
    "selectors.infinity_seeds": {
        "rare": (20, 200),
        "medium": 500,
        "medium_rate": 1 / 3,
        "fall": 1.0,
    },
    "selectors.ability_allocation": {"within": 0.5},
    "selectors.mixture": {"temperature": 1.0, "epochs": 1.0, "cap": None, "k": None},
    "selectors.deita": {"threshold": 0.9, "turns": "sum"},
    "selectors.threshold": {"min": 4.5},
    "generators.alpaca_style": {"n": 20, "shots": 3},
    "generators.codec_lm_tailor": {"iterations": 4, "margin": 3.0},
    "generators.dynosaur": {"sampling": Sampling(temperature=0.0, max_tokens=256)},
    "generators.ensemble_instruct": {"shots_with_input": 24, "shots": 10, "machine_shots": 4},
    "generators.evol_small": {
        "rounds": 3,
        "evolving": Sampling(temperature=0.7, max_tokens=2048),
        "answering": Sampling(temperature=0.0, max_tokens=2048),
    },
    "generators.auto_evol": {"evolving": Sampling(0.7, 0.95, 2048)},
    "generators.evolve_refine": {"turns": 4, "min_reward_gap": 0.5},
    "generators.fellowship": {"answers": 3, "reviewers": ("reviewer",)},
    "generators.fuse_chat": {
        "samples": 5,
        "sft_rate": 0.4,
        "window": (0.01, 0.1),
        "sampling": Sampling(0.8, 0.95, 2048),
    },
    "generators.glan": {
        "asking": Sampling(1.0, 0.95, 1024),
        "answering": Sampling(0.7, 0.95, 2048),
    },
    "generators.glan_syllabus": {"queries": 10, "sampling": Sampling(1.0, 0.95, 4096)},
    "generators.infinity_subject": {"calls": 8, "n": 5},
    "generators.instinct": {"queries": 165, "initial": 40},
    "generators.magpie": {
        "n": 200,
        "early_stop": True,
        "asking": Sampling(1.0, 1.0, 2048),
        "answering": Sampling(0.0, 1.0, 4096),
    },
    "generators.non_instructional": {"min_words": 64, "max_words": 1024},
    "generators.okapi": {"weights": (52, 42, 64)},
    "generators.okapi_ranks": {"n": 4},
    "generators.optima": {
        "explorations": 8,
        "runs": 3,
        "tokens_weight": -0.6,
        "loss_weight": 1.0,
        "min_value": 0.15,
        "min_gap": 0.3,
    },
    "generators.p_aligner": {"iterations": 20, "c": 0.1, "answers": 3, "tries": 4},
    "generators.prompt_calibration": {
        "samples": 10,
        "max_samples": 50,
        "warm_up": 4,
        "patience": 10,
    },
    "generators.r_tuning": {"sampling": Sampling(temperature=0.0, max_tokens=15)},
    "generators.sami": {"sampling": Sampling(temperature=0.0, max_tokens=350)},
    "generators.self_instruct": {"shots": 8, "machine_shots": 2},
    "generators.self_instruct_instances": {"k": 5},
    "generators.skill_mix": {"ks": (1, 2, 3)},
    "generators.synthetic_abstracts": {
        "variants": 10,
        "keywords": 10,
        "min_coverage": 0.9,
        "class_rate": 0.2,
    },
    "filters.skill_mix_grades": {"gradings": 3},
    "filters.very_hard": {"max_rate": 0.4},
    "scorers.answer_entropy": {"samples": 10},
}
RECIPES: dict[str, dict[str, Any]] = {
    "cherry": {"engines.scorer.max_model_len": 512, "stages.-1.below": 1.0, "stages.-1.rate": 0.05},
    "cherry_tuned": {"engines.trainer.epochs": 1, "engines.trainer.max_model_len": 512},
    "top_k": {"stages.-1.below": 1.0, "stages.-1.rate_of": "table"},
    "facility_location": {"stages.3.rate": 0.2, "stages.3.rate_of": "table", "stages.3.below": 1.0},
    "ic_ifd": {"engines.scorer.template": "plain", "stages.-1.rate": 0.25},
    "select2reason": {"stages.-1.rate": 0.1},
    "stat_syn": {"stages.2.n": 3, "stages.3.min_votes": 2, "stages.3.every": True},
    "sftmix": {"engines.trainer.checkpoints": 3},
    "corgi": {"stages.2.threshold": 0.67},
    "magpie": {"stages.4.threshold": 0.95, "stages.6.of": "scores.word_count.words"},
    "evol_small": {"stages.-1.rate": 0.25, "stages.-1.of": "scores.ic_ifd.score"},
    "auto_evol": {"stages.-1.rate": 0.25, "stages.-1.of": "scores.ic_ifd.score"},
    "infinity_subject": {"stages.4.several": 5, "stages.4.deviations": 1.96},
    "personas": {"stages.2.threshold": 0.9},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_default_is_the_published_one(name: str) -> None:
    module = importlib.import_module(f"gristmill.{name}")
    (stage,) = (
        c
        for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, Stage) and c.__module__ == module.__name__
    )
    found = {key: stage.model_fields[key].default for key in PUBLISHED[name]}
    assert found == PUBLISHED[name]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_the_publication_says(name: str) -> None:
    def at(path: str) -> Any:
        value: Any = Recipe.load(name).model_dump()
        for part in path.split("."):
            value = value[int(part) if isinstance(value, list) else part]
        return value

    assert {path: at(path) for path in RECIPES[name]} == RECIPES[name]


def test_engines_and_clusters_have_the_published_numbers() -> None:
    probe = Attention(model="demo")
    assert (probe.depth_rate, probe.max_model_len) == (0.7, 2047)
    assert (k_means.SAMPLE, spectral.MOST) == (10_000, 20)
