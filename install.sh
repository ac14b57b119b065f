#!/bin/sh
# Makes a virtual environment and installs the locked dependencies and this project into it.
# The one install script: `make serve`, `make test` and the Dockerfile all call it.
#
#   ./install.sh VENV_DIR [base|test|gpu|tracing]
#
# PYTHON chooses the interpreter; else the first of python3.13, 3.12, 3.11 and python3 that fits is taken.
set -eu

usage() {
    echo "usage: $0 VENV_DIR [base|test|gpu|tracing]" >&2
    exit 2
}

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null
}

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" && echo "$PYTHON" && return
        echo "PYTHON=$PYTHON is no Python 3.11, 3.12 or 3.13" >&2
        return 1
    fi
    for candidate in python3.13 python3.12 python3.11 python3; do
        fits "$candidate" && echo "$candidate" && return
    done
    echo "no Python 3.11, 3.12 or 3.13 found: install one (Debian: apt install python3 python3-venv)," \
        "or name it with PYTHON=/path/to/python3" >&2
    return 1
}

[ $# -ge 1 ] && [ $# -le 2 ] || usage
venv=$1
set_name=${2:-base}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
lock="$here/requirements/$set_name.lock"
[ -f "$lock" ] || usage

# An environment that is kept is reused only while its interpreter still runs and fits.
if ! fits "$venv/bin/python"; then
    python=$(choose_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$python cannot make virtual environments (Debian: apt install python3-venv)" >&2
        exit 1
    fi
    "$python" -m venv --clear "$venv"
fi

pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"
}

echo "installing the locked dependencies ($set_name) into $venv; the first time this takes some minutes" >&2
pip install --require-hashes --requirement "$lock"
pip install --no-deps --no-build-isolation --editable "$here"
if [ "$set_name" = test ]; then
    # The client is a distribution of its own, which no server needs; what it depends on is locked in the test set.
    pip install --no-deps --no-build-isolation --editable "$here/client"
fi
