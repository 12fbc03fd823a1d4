"""Other languages than Python: the tool that runs each, and the script that hands over to it.

A program in another language is a Python script inside: it writes the program into its folder
and becomes the tool by exec. So it lives under the same namespaces, filter and limits as any
other, in both back ends, and C++ is compiled there too, never outside: in a run of its own, whose
output is the program that the runs after it start.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SEARCHED = "/usr/local/bin:/usr/bin:/bin"
"""Where tools are looked for: programs see nothing of the machine but /usr."""
VERSION = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True, slots=True)
class Language:
    """How programs of one language run; only what they print can be judged."""

    tool: str
    package: str
    """Debian's package of the tool."""
    file: str
    """Name of the program in its own folder."""
    steps: tuple[str, ...]
    """Arguments of the tool; with `run`, this is a compiler that writes `built`."""
    run: str = ""
    """What `built` is called when it runs."""
    given: str = ""
    """File that gets the input, where the tool does not leave stdin to the program."""
    address_mb: int = 0
    """Address space that the tool may reserve, in MiB, where that is more than it uses."""
    asks: str = "--version"
    """What makes the tool tell its version."""

    @property
    def path(self) -> str:
        """Return the tool's file; "" where it is not installed, or not where programs see it."""
        found = shutil.which(self.tool, path=SEARCHED)
        real = Path(found).resolve() if found else Path()
        return str(real) if real.is_relative_to("/usr") or real.is_relative_to("/bin") else ""

    @property
    def fix(self) -> str:
        """Say how to get the tool."""
        return f"apt-get install {self.package} (it is looked for in {SEARCHED})"

    def script(self, code: str, digits: str = "") -> str:
        """Return the Python script that a program in this language is inside.

        One that has to be built first prints what it is built to; with that it then runs.
        """
        command = (self.path, *self.steps)
        text = f"{code!r}.encode()"
        if digits:
            call = f"hand_over({self.run!r}, bytes.fromhex({digits!r}), '', {(self.run,)!r})"
        elif self.run:
            call = f"build({self.file!r}, {text}, {command!r})"
        else:
            call = f"hand_over({self.file!r}, {text}, {self.given!r}, {command!r})"
        return f"{_driver()}\n{call}\n"


LANGUAGES = {
    "cpp": Language(
        "g++", "g++", "code.cpp",
        ("-std=gnu++17", "-O2", "-pipe", "-fmax-errors=3", "-fdiagnostics-color=never",
         "-o", "built", "code.cpp"),
        run="./code",
    ),
    # V8 reserves 10 GiB for each memory of WebAssembly and touches next to nothing of it.
    "javascript": Language(
        "node", "nodejs", "code.js", ("--openssl-config=/dev/null", "code.js"), address_mb=1 << 16
    ),
    "bash": Language("bash", "bash", "code.sh", ("--noprofile", "--norc", "code.sh")),
    "sql": Language(
        "sqlite3", "sqlite3", "code.sql",
        ("-batch", "-bail", ":memory:", ".read input.sql", ".read code.sql"),
        given="input.sql",
    ),
    # What it builds is a text that begins with the path of `vvp`, which comes with it.
    "verilog": Language(
        "iverilog", "iverilog", "code.v", ("-g2012", "-o", "built", "code.v"),
        run="./code", asks="-V",
    ),
}  # fmt: skip
"""The profiles that are languages. `sql` gets its tables as the input: SQL that runs first."""


@cache
def version(name: str) -> str:
    """Return tool and version of a language, such as `g++ 12.2.0`; "" where it is missing."""
    language = LANGUAGES[name]
    if not language.path:
        return ""
    done = subprocess.run(
        [language.path, language.asks], capture_output=True, text=True, timeout=10, check=False
    )
    found = VERSION.search(done.stdout)
    return f"{language.tool} {found[0]}" if found else ""


@cache
def _driver() -> str:
    return Path(__file__).with_name("foreign.py").read_text(encoding="utf-8")
