"""Defaults that come from a publication: with another one, a stage would still have the name."""

import importlib
from typing import Any

import pytest

from gristmill.engines.attention import Attention
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
