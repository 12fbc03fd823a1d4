"""What pydantic found wrong is told in words; of another program's values nothing is shown."""

import pytest
from pydantic import TypeAdapter, ValidationError, field_validator, model_validator
from pydantic.dataclasses import dataclass

from gristmill.text.mistakes import told


@dataclass
class Cache:
    """As vLLM checks its arguments: each on its own, and all of them together."""

    kind: int = 0
    weights: str = "fp8"

    @field_validator("weights")
    @classmethod
    def _known(cls, weights: str) -> str:
        if weights == "foo":
            raise ValueError("Unknown method: foo")
        return weights

    @model_validator(mode="after")
    def _fit(self) -> "Cache":
        if self.kind > 9:
            raise ValueError("no such kind")
        return self


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"weights": "foo"}, "weights: Unknown method: foo"),
        ({"kind": 10, "weights": "secret"}, "no such kind"),
        ({"kind": None}, "kind: Input should be a valid integer"),
    ],
)
def test_a_check_of_another_program_is_told_without_its_values(given, words) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Cache).validate_python(given)
    assert told(caught.value) == words


def test_another_error_is_told_as_it_is() -> None:
    assert told(OSError("no room")) == "no room"
