"""The limits of a control group, on folders that refuse what the kernel refuses."""

import errno
from pathlib import Path

import pytest

from gristmill.engines.sandbox.cgroups import Group

PLAIN, SWAP = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"


def test_a_limit_that_was_refused_half_way_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / SWAP).write_text("0")
    group = Group(1, tmp_path, tmp_path)
    group.limit(256, 64)
    write = Path.write_text

    def refuse(path: Path, text: str) -> int:
        if path.name == SWAP:
            raise OSError(errno.EBUSY, "in use")
        return write(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", refuse)
        with pytest.raises(OSError, match="in use"):
            group.limit(1, 64)
    assert (tmp_path / PLAIN).read_text() == str(1 << 20)
    group.limit(256, 64)
    assert (tmp_path / PLAIN).read_text() == str(256 << 20)


def test_cpu_time_is_read_in_the_units_of_each_version(tmp_path: Path) -> None:
    (tmp_path / "cpuacct.usage").write_text("1500000000\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\n")
    read = [Group(version, tmp_path, tmp_path, tmp_path).used_s() for version in (1, 2)]
    assert read == [1.5, 2.5]
    assert Group(1, tmp_path, tmp_path).used_s() is None
