"""What each phase of the training reads, and in which shares of documents."""

from __future__ import annotations

from functools import partial

from demo_model import acting, problems, shown, testing
from demo_model.corpus import EASY_MIX, MIX, Mix, instruction

MIXES: dict[str, Mix] = {
    "demo": MIX,
    "short tests": EASY_MIX,
    "more recipes": [
        *((maker, 0.58 * share) for maker, share in EASY_MIX),
        (acting.episode, 0.10),
        (problems.episode, 0.05),
        (problems.mask, 0.07),
        (problems.program, 0.06),
        (testing.tests, 0.06),
        (testing.library_tests, 0.03),
        (testing.repair, 0.025),
        (testing.refine, 0.025),
    ],
    "short prompts": [
        *((maker, 0.55 * share) for maker, share in EASY_MIX),
        (acting.episode, 0.055),
        (partial(acting.episode, bare=True), 0.105),
        (problems.episode, 0.025),
        (partial(problems.episode, bare=True), 0.045),
        (problems.mask, 0.025),
        (partial(problems.mask, bare=True), 0.08),
        (problems.program, 0.04),
        (testing.tests, 0.035),
        (testing.library_tests, 0.02),
        (testing.repair, 0.01),
        (testing.refine, 0.01),
    ],
    "known words": [
        *((maker, 0.65 * share) for maker, share in EASY_MIX),
        (instruction, 0.06),
        (acting.episode, 0.015),
        (partial(acting.episode, bare=True), 0.055),
        (partial(problems.episode, near=True), 0.015),
        (partial(problems.episode, bare=True, near=True), 0.025),
        (partial(problems.mask, near=True), 0.025),
        (partial(problems.mask, bare=True, near=True), 0.06),
        (partial(problems.program, near=True), 0.02),
        (partial(problems.program, bare=True, near=True), 0.02),
        (testing.tests, 0.02),
        (testing.library_tests, 0.025),
        (testing.repair, 0.005),
        (testing.refine, 0.01),
    ],
}
MIXES["worked examples"] = [
    *((maker, 0.804 * share) for maker, share in MIXES["known words"]),
    (shown.review, 0.07),
    (shown.concepts, 0.011),
    (shown.instructions, 0.024),
    (shown.responses, 0.091),
]
