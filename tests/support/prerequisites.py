"""Skips tests whose program or package is missing on a laptop, and fails them in CI."""

import os
from typing import NoReturn

import pytest


def report_missing(reason: str) -> NoReturn:
    """Skips the running test, or fails it if the variable CI is `true`. The reason has the install command."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
