import fcntl
from concurrent.futures import ThreadPoolExecutor

import pytest

from gristmill.errors import RunLocked
from gristmill.storage.shards import is_held, lock


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
