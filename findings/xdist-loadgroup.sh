#!/bin/sh
# pytest-xdist 3.8.0 with pytest 9.2.0: `--dist loadgroup` ignores the mark `xdist_group`.
#
# The documentation says that tests with the same group run on the same worker. With pytest 8.4.2 forty tests of one group
# run on one of two workers; with pytest 9.2.0 both workers get some, without a warning, as with `--dist load`.
# A suite that relies on groups to share a slow fixture, or to keep tests apart that may not run at the same time, changes
# its behaviour with the version of pytest.
#
# Seen: "pytest 8.4.2: 1 worker(s)", "pytest 9.2.0: 2 worker(s)". The script fails if that changes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >test_group.py <<'PY'
import time

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(40))
def test_with_a_group(number):
    time.sleep(0.02)
PY

workers() {
    python3 -m venv "venv-$1"
    "venv-$1/bin/pip" install --quiet --disable-pip-version-check "pytest==$1" pytest-xdist==3.8.0
    "venv-$1/bin/pytest" -v -n 2 --dist loadgroup -p no:cacheprovider test_group.py >"out-$1"
    grep -q '40 passed' "out-$1"
    seen=$(grep -o '^\[gw[0-9]*\]' "out-$1" | sort -u | wc -l)
    echo "pytest $1: $seen worker(s)"
    [ "$seen" -eq "$2" ]
}

workers 8.4.2 1
workers 9.2.0 2
