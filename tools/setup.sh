#!/usr/bin/env bash
# Prepare a virtual environment: tools/setup.sh PYTHON VENV cpu|gpu
set -euo pipefail
python=$1 venv=$2 hardware=$3

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "gristmill needs Python 3.11 or later; '$python' is $("$python" --version). Try: make PYTHON=python3.11" >&2
    exit 2
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check "uv>=0.5" 2>/dev/null ||
    "$venv/bin/python" -m pip install --disable-pip-version-check "uv>=0.5"

# torch's CPU builds are not on PyPI: a folder of wheels when one is configured, else torch's own index.
options=(--no-sources)
if [ -n "${PIP_FIND_LINKS:-}" ]; then
    export UV_FIND_LINKS=$PIP_FIND_LINKS
elif [ "$hardware" = cpu ]; then
    options+=(--torch-backend cpu)
fi
# The lock holds the hashes of Python 3.11's wheels; other versions get the same releases, unverified.
if "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    options+=(--require-hashes)
else
    options+=(--no-verify-hashes)
fi
export VIRTUAL_ENV=$PWD/$venv
"$venv/bin/uv" pip install --quiet --compile-bytecode "${options[@]}" -r "requirements/$hardware.txt"
"$venv/bin/uv" pip install --quiet --no-sources --no-deps --editable .

# What tests of our pages look with for people who see or type otherwise.
if command -v npm >/dev/null; then
    npm install --prefix "$venv" --no-save --no-audit --no-fund --ignore-scripts --silent axe-core@4.14.1 >/dev/null 2>&1 ||
        echo "could not install axe-core with npm; a test of the pages skips what it would find" >&2
fi

# bubblewrap is the sandbox's second choice, for machines that forbid what the first one needs; tests
# of our pages need a browser, those of other languages than Python the tool of each. Debian's packages
# where we may install them.
missing=()
for tool in bwrap:bubblewrap chromedriver:chromium-driver g++:g++ node:nodejs sqlite3:sqlite3 iverilog:iverilog; do
    command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
done
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
            echo "could not install ${missing[*]}; install them by hand: apt-get install ${missing[*]}" >&2
    else
        echo "missing: ${missing[*]}. Tests need them; a run needs bubblewrap only where 'build-dataset doctor' says so. Ask for: apt-get install ${missing[*]}" >&2
    fi
fi
