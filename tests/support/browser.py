"""The system's Chromium, for tests that look at pages as a reader does."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from playwright.sync_api import Browser, Playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
"""Names of the browser on the PATH, in order of preference."""


def chromium() -> str:
    """Returns the path of Chromium. Skips the test where none is installed."""
    path = next(filter(_runs, filter(None, map(shutil.which, CHROMIUM))), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM)} is installed")
    return path


def launch(playwright: Playwright, path: str) -> Browser:
    """Starts Chromium without a window."""
    # As root Chromium has no sandbox; /dev/shm is small in containers.
    arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return playwright.chromium.launch(executable_path=path, args=arguments)


def _runs(path: str) -> bool:
    """Whether this starts: Ubuntu's chromium-browser may be a script that only tells how to install it."""
    return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
