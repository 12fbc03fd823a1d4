"""Run docs/notebook.ipynb again and write what its cells show.

Usage: python tools/run_notebook.py. A test fails when the file is not what this writes. A cell is
run as a notebook runs it: inside an event loop, its last expression shown by `_repr_html_`.
"""

from __future__ import annotations

import ast
import asyncio
import io
import json
import os
import tempfile
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook with fresh outputs; its cells run in an empty folder."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, n = [], 0
    with tempfile.TemporaryDirectory() as place, chdir(place):
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                n += 1
                outputs = asyncio.run(_cell("".join(cell["source"]), names, n))
                cell = {**cell, "execution_count": n, "outputs": outputs}
            cells.append(cell)
    return {**notebook, "cells": cells}


async def _cell(source: str, names: dict[str, Any], n: int) -> list[dict[str, Any]]:
    """Run one cell in this loop and return its outputs in nbformat 4."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    said = io.StringIO()
    with redirect_stdout(said):
        exec(compile(ast.Module(body, []), f"cell {n}", "exec"), names)
        value = eval(compile(ast.unparse(last), f"cell {n}", "eval"), names) if last else None
    outputs: list[dict[str, Any]] = []
    if text := said.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(text)})
    if value is not None:
        data = {"text/plain": _lines(repr(value))}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = _lines(value._repr_html_())
        outputs.append(
            {"output_type": "execute_result", "execution_count": n, "metadata": {}, "data": data}
        )
    return outputs


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def text(notebook: dict[str, Any]) -> str:
    """Return the file's text."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    NOTEBOOK.write_text(text(run(found)), encoding="utf-8")
