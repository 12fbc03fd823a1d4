import numpy as np
import pyarrow as pa
import pytest

from gristmill.engines.requests import Vector
from gristmill.scorers.embedding import Embedding

ROW = {"instruction": "Add.", "input": "1 2", "output": "3"}
VECTOR = Vector(np.array([0.6, 0.8], np.float32), 5, True)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (("instruction", "input", "output"), "Add.\n1 2\n3"),
        (("output", "instruction"), "3\nAdd."),
        (("instruction",), "Add."),
    ],
)
def test_the_named_parts_are_embedded_line_by_line(ask, script, fields, text) -> None:
    engine = script({text: [VECTOR]})
    found = ask(Embedding(fields=fields), ROW, engine)
    assert engine.calls[0].text == text
    assert found["vector"].tolist() == VECTOR.values.tolist()
    assert found["cut"] is True


def test_a_conversation_is_embedded_whole_or_by_side(ask, script) -> None:
    said = [("system", "S"), ("user", "U"), ("assistant", "A"), ("user", "V")]
    row = {**ROW, "messages": [{"role": role, "content": text} for role, text in said]}
    engine = script({"S\nU\nA\nV": [VECTOR], "S\nU\nV": [VECTOR]})
    ask(Embedding(), row, engine)
    ask(Embedding(fields=("instruction",)), row, engine)


def test_a_row_without_text_has_no_vector(ask, script) -> None:
    found = ask(Embedding(), {"instruction": " ", "input": None, "output": ""}, script({}))
    assert found == {"vector": None, "cut": False}


def test_vectors_are_stored_in_single_precision() -> None:
    kind = Embedding().writes()["vector"]
    assert kind == pa.list_(pa.float32())
    assert pa.array([VECTOR.values, None], kind).to_pylist()[1] is None
