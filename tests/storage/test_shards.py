import fcntl
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.errors import RunLocked
from gristmill.storage.rows import canonical, schema_of
from gristmill.storage.shards import Shard, is_held, lock


def test_a_lock_is_held_until_it_is_closed_and_a_look_makes_none(tmp_path) -> None:
    path = tmp_path / "deep" / "lock"
    assert not is_held(path)
    assert not path.parent.exists()
    with lock(path):
        assert is_held(path)
        with pytest.raises(RunLocked, match="held by another process"):
            lock(path)
    assert not is_held(path)
    lock(path).close()


def test_a_look_keeps_nobody_from_taking_the_lock(tmp_path) -> None:
    path = tmp_path / "lock"
    with ThreadPoolExecutor(1) as other:
        with path.open("w") as look:
            fcntl.flock(look, fcntl.LOCK_SH)
            taken = other.submit(lock, path)
            with pytest.raises(TimeoutError):
                taken.result(0.2)
        taken.result(60).close()


def wide(n: int) -> pa.Schema:
    """Return what a recipe of many scorers writes: types so long that Arrow shortens some names."""
    labels = {f"scores.label_{i}.items": pa.list_(pa.list_(pa.float32())) for i in range(n)}
    return schema_of({**labels, "scores.embedding.vector": pa.list_(pa.float32(), 2)}, ends=True)


@pytest.mark.parametrize("n", [1, 60])
def test_a_shard_of_any_width_is_read_as_it_was_written(tmp_path, n) -> None:
    path, shard = tmp_path / "a.parquet", Shard(tokens=7)
    shard.end({"id": "x", "root": "x", "round": 0, "meta": {}, "calls": ["k"]}, "kept", "last")
    shard.count("last", in_=1, kept=1)
    shard.write(path, wide(n), canonical)
    found = Shard.read(path)
    assert found is not None
    assert (found.counts, found.tokens, found.rows[0]["calls"]) == (shard.counts, 7, ["k"])


@pytest.mark.parametrize(("was", "changed"), [(b'"tokens": 7', b'"tokens": 8'), (b"1}", b"2}")])
def test_a_shard_whose_counts_have_changed_is_no_shard(tmp_path, was, changed) -> None:
    path, shard = tmp_path / "a.parquet", Shard(tokens=7)
    shard.count("last", in_=1, kept=1)
    shard.write(path, wide(1), canonical)
    assert Shard.read(path) is not None
    table = pq.read_table(path)
    marks = {**table.schema.metadata}
    marks[b"gristmill"] = marks[b"gristmill"].replace(was, changed)
    assert marks != table.schema.metadata
    pq.write_table(table.replace_schema_metadata(marks), path, write_page_checksum=True)
    assert Shard.read(path) is None
