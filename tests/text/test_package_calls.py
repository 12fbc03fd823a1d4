import pytest

from gristmill.text.package_calls import used


def test_an_import_counts_where_it_is_used_and_calls_have_full_names() -> None:
    code = """
import os.path, re
import numpy as np
import unused
from collections import Counter as C, deque
from . import local

def f(x):
    np.linalg.norm(x).round()
    C(x).most_common()
    os.path.join("a")
    local.go()
    print(deque)
    x.re.match()
"""
    assert used(code) == {
        "packages": ["collections", "numpy", "os"],
        "apis": ["collections.Counter", "numpy.linalg.norm", "os.path.join"],
    }


@pytest.mark.parametrize("code", ["def f(", "\0", "(" * 5000, "", "x = 1"])
def test_what_is_no_python_uses_nothing(code) -> None:
    assert used(code) == {"packages": [], "apis": []}
