"""Pages of the site that nobody writes: commands, stages, notebook, decisions. A hook of MkDocs.

They are made when the site is built, from the command line's own grammar and the docstrings, so no
copy of them can be old. Links that lead out of docs/ become plain text: the site stands alone.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "generators": "New rows from a row, or new text for it.",
    "filters": "The row stays or leaves, with a code.",
    "verifiers": "The row gets a verdict; it never leaves here.",
    "scorers": "The row gets a number, higher is better; it never leaves here.",
    "selectors": "Some of the rows, or an order, or weights.",
}
OUTSIDE = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(((?!https?:)[^)\s]+)\)")
BLOCK = re.compile(r"(?s)(<pre[^>]*>(?:<span></span>)?<code[^>]*>)(.*?)(</code></pre>)")
"""A block of code. It scrolls itself, and where nothing hovers the theme unsets its tabindex."""
TITLE = re.compile(r"(?m)^# (.+)$")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made here."""
    from mkdocs.structure.files import File

    for path, text in made().items():
        files.append(File.generated(config, path, content=text))
    return files


def made() -> dict[str, str]:
    """Return what is made here: the page's path and its text."""
    pages = {"reference/commands.md": commands(), "adr/index.md": decisions()}
    pages["tutorial/notebook.md"] = notebook(ROOT / "docs" / "notebook.ipynb")
    return pages | {f"reference/{folder}.md": stages(folder) for folder in FOLDERS}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the page with no link that leads out of docs/."""
    return inside(markdown, (ROOT / "docs" / page.file.src_uri).parent)


def on_post_page(output: str, **_: Any) -> str:
    """Name the search for screen readers; let the keyboard reach and scroll what is wide."""
    search = 'data-md-component="search" role="dialog"'
    named = output.replace(search, f'{search} aria-label="Search"')
    reached = BLOCK.sub(r'\1<span class="reached" tabindex="0">\2</span>\3', named)
    return reached.replace("<table>", '<table tabindex="0">')


def on_post_template(output_content: str, **_: Any) -> str:
    """Do the same for the page that stands where no page is."""
    return on_post_page(output_content)


def inside(markdown: str, folder: Path) -> str:
    """Return a page of a folder with plain text in the place of links that leave docs/."""
    docs = ROOT / "docs"

    def keep(link: re.Match[str]) -> str:
        path = link[2].partition("#")[0]
        stays = not path or (folder / path).resolve().is_relative_to(docs)
        return link[0] if stays else link[1]

    return OUTSIDE.sub(keep, markdown)


def commands() -> str:
    """Return the page of the command line, from the grammar that reads it."""
    sys.path.insert(0, str(ROOT / "src"))
    from gristmill.cli import parser

    top = parser()
    codes = (top.epilog or "").replace("exit codes", "Exit codes", 1)
    parts = ["# Commands\n", f"{top.description}\n", f"{codes}\n"]
    action = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in action.choices.items():
        parts += [f"## {name}\n", f"{command.description}\n", *_usage(name, command)]
    return "\n".join(parts)


def _usage(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    places = [a for a in command._actions if not a.option_strings]
    words = " ".join(_word(a) for a in places)
    yield f"    build-dataset {name} {words}".rstrip() + "\n"
    yield "| argument | what it is |\n|---|---|"
    for a in [*places, *(a for a in command._actions if a.option_strings and a.dest != "help")]:
        flags = ", ".join(a.option_strings)
        shown = " ".join(part for part in (flags, _word(a) if a.nargs != 0 else "") if part)
        yield f"| `{shown}` | {_cell(a.help or '')} |"
    yield ""


def _word(action: argparse.Action) -> str:
    if action.choices:
        word = "{" + ",".join(map(str, action.choices)) + "}"
    else:
        word = str(action.metavar or action.dest.upper())
    optional = action.nargs in ("?", "*") and not action.option_strings
    return f"[{word}]" if optional else word


def stages(folder: str) -> str:
    """Return the page of a folder of stages: what each does, and its parameters."""
    paths = sorted((ROOT / "src/gristmill" / folder).glob("[a-z]*.py"))
    head = (
        f"# {folder.capitalize()}\n\n{FOLDERS[folder]} A recipe names one by `use: {folder}.NAME`."
    )
    more = "[Systems](../systems.md) says which recipes use it and what tests hold it.\n"
    return "\n".join([f"{head} {more}", *(text for path in paths for text in _stage(path))])


def _stage(path: Path) -> Iterator[str]:
    module = ast.parse(path.read_text(encoding="utf-8"))
    name = path.stem.replace("_", "")
    stage = next(c for c in _classes(module).values() if c.name.lower() == name)
    yield f"## {path.stem}\n\n{_about(module)}\n\n{_about(stage)}\n"
    rows = [row for cls in _line(stage, module) for row in _fields(cls)]
    if rows:
        yield "\n".join(["| parameter | default | what it is |", "|---|---|---|", *rows, ""])


def _classes(module: ast.Module) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in module.body if isinstance(node, ast.ClassDef)}


def _line(cls: ast.ClassDef, module: ast.Module) -> Iterator[ast.ClassDef]:
    """Yield a class behind those of ours that it is made from."""
    where = {
        alias.name: node.module
        for node in module.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gristmill.")
        for alias in node.names
    }
    for base in map(ast.unparse, cls.bases):
        if base in where and base not in ("RowStage", "TableStage"):
            path = ROOT / "src" / f"{where[base].replace('.', '/')}.py"
            other = ast.parse(path.read_text(encoding="utf-8"))
            yield from _line(_classes(other)[base], other)
        elif base in _classes(module):
            yield from _line(_classes(module)[base], module)
    yield cls


def _about(node: ast.Module | ast.ClassDef) -> str:
    """Return a docstring; one that goes on in indented lines becomes one paragraph."""
    text = ast.get_docstring(node) or ""
    return re.sub(r"(?m)^ +", "", text).replace("\nDiffers", "\n\nDiffers")


def _fields(stage: ast.ClassDef) -> Iterator[str]:
    """Yield a table's row for every parameter."""
    for node, after in pairwise([*stage.body, ast.Pass()]):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        kind = ast.unparse(node.annotation)
        if node.target.id.startswith("_") or kind.startswith("ClassVar"):
            continue
        told = after.value if isinstance(after, ast.Expr) else None
        about = str(told.value) if isinstance(told, ast.Constant) else ""
        default = _default(node.value)
        default = default and f"`{default}`"
        yield f"| `{node.target.id}`: `{kind}` | {default} | {_cell(about)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _default(value: ast.expr | None) -> str:
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "Field":
        named = {k.arg: k.value for k in value.keywords}
        value = value.args[0] if value.args else named.get("default", named.get("default_factory"))
    text = "" if value is None else ast.unparse(value)
    return text if text != "..." else ""


def notebook(path: Path) -> str:
    """Return an executed notebook as a page, outputs included."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join(part.rstrip("\n") + "\n" for cell in cells for part in _shown(cell))


def _shown(cell: dict[str, Any]) -> Iterator[str]:
    source = "".join(cell["source"])
    yield source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
    for output in cell.get("outputs", []):
        data = output.get("data", {"text/plain": output.get("text", [])})
        if "text/html" in data:
            yield '<div class="shown">\n' + "".join(data["text/html"]) + "\n</div>"
        else:
            yield "```text\n" + "".join(data["text/plain"]).rstrip("\n") + "\n```"


def decisions() -> str:
    """Return the list of decisions."""
    head = "# Decisions\n\nWhy it is as it is. A decision is superseded, never edited.\n"
    lines = []
    for path in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md")):
        title = TITLE.search(path.read_text(encoding="utf-8"))
        lines.append(f"- [{title[1] if title else path.stem}]({path.name})")
    return "\n".join([head, *lines]) + "\n"
