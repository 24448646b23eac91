"""Tests that need a program or package which may be absent are skipped on a laptop, and fail in CI."""

import os
from typing import NoReturn

import pytest


def report_missing(reason: str) -> NoReturn:
    """Skip the running test, or fail it if the variable CI is `true`. The reason has the line that installs it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
