#!/bin/sh
# Writes the lock files: every package with version and hashes, for Python 3.11 to 3.13 on every platform.
set -eu
cd "$(dirname -- "$0")/.."

lock() {
    set_name=$1
    shift
    uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 --no-header \
        --output-file "requirements/$set_name.lock" "$@" pyproject.toml requirements/build.in
}

lock base
lock test --extra test --constraints requirements/base.lock client/pyproject.toml
lock gpu --extra gpu --constraints requirements/base.lock
lock tracing --extra tracing --constraints requirements/base.lock
