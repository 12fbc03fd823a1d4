#!/usr/bin/env bash
# Compile requirements/{cpu,gpu,docs}.txt: tools/lock.sh UV
set -euo pipefail
uv=$1
[ -z "${PIP_FIND_LINKS:-}" ] || export UV_FIND_LINKS=$PIP_FIND_LINKS
compile() {
    "$uv" pip compile --quiet --no-sources "${@:2}" \
        --generate-hashes --no-emit-index-url --no-emit-find-links --python-version 3.11 \
        --custom-compile-command "make lock" --output-file "requirements/$1.txt"
}
for hardware in cpu gpu; do
    compile "$hardware" pyproject.toml --extra "$hardware" --extra dev
done
compile docs --group docs
