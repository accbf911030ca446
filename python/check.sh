#!/usr/bin/env bash
# Builds the wheel, installs it into a new virtual environment together with boto3 and moto, and runs
# the tests of this folder, which execute the Python blocks of README.md and docs/ too.
#
#     python/check.sh              # with the development profile, as .ci/run does
#     PROFILE=release python/check.sh
#     python/check.sh -k boto3     # arguments are passed to pytest
#
# Prints `NOT RUN:` and succeeds if Python cannot make a virtual environment, or if packages cannot
# be installed.
set -euo pipefail
cd "$(dirname "$0")"
readonly FOLDER=../target/python
readonly PYTHON="$FOLDER/venv/bin/python"

not_run() {
    echo "NOT RUN: the tests of the wheel: $1"
    exit 0
}

rm -rf "$FOLDER"
mkdir -p "$FOLDER"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || not_run "Python 3.9 or newer is not installed"
python3 -m venv "$FOLDER/venv" || not_run "python3 -m venv failed"
"$PYTHON" -m pip install --quiet --disable-pip-version-check --requirement requirements-check.txt ||
    not_run "packages cannot be installed"

# The development profile reuses the dependencies that cargo test compiled.
"$FOLDER/venv/bin/maturin" build --locked --profile "${PROFILE:-dev}" --strip true --out "$FOLDER/wheels"
wheel=("$FOLDER"/wheels/*.whl)
"$PYTHON" -m pip install --quiet --disable-pip-version-check "${wheel[0]}[boto3,pytest]"

"$FOLDER/venv/bin/mypy" --cache-dir "$FOLDER/mypy" src tests
"$FOLDER/venv/bin/ruff" check --no-cache .
"$FOLDER/venv/bin/ruff" format --no-cache --check .
# The tests import the installed package, because src/ is not in the path.
unset PYTHONPATH TRAFFIC_MIRROR_BINARY
"$PYTHON" -m pytest -p no:cacheprovider -rs "$@"
