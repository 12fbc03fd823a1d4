#!/usr/bin/env bash
# Compile requirements/{cpu,gpu}.txt: tools/lock.sh UV
set -euo pipefail
uv=$1
[ -z "${PIP_FIND_LINKS:-}" ] || export UV_FIND_LINKS=$PIP_FIND_LINKS
for hardware in cpu gpu; do
    "$uv" pip compile pyproject.toml --quiet --no-sources --extra "$hardware" --extra dev \
        --generate-hashes --no-emit-index-url --no-emit-find-links --python-version 3.11 \
        --custom-compile-command "make lock" --output-file "requirements/$hardware.txt"
done
