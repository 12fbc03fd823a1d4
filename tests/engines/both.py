"""A pooled model that rates and classifies: tests of both wait for one start."""

from typing import ClassVar

from gristmill.engines.classifier import Classifier
from gristmill.engines.requests import Op
from gristmill.engines.reward import Reward


class Both(Reward):
    """Its one label is read as both do."""

    ops: ClassVar[frozenset[Op]] = frozenset({"rate", "classify"})
    classify = Classifier.classify
