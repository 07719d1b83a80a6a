"""The system's Chromium, for tests that view pages in a browser."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from playwright.sync_api import Browser, Playwright

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
"""Names of the browser on the PATH, in order of preference."""


def chromium() -> str:
    """Returns the path of Chromium. Skips the test if it is not installed."""
    path = next(filter(_runs, filter(None, map(shutil.which, CHROMIUM))), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(CHROMIUM)} is installed")
    return path


def launch(playwright: Playwright, path: str) -> Browser:
    """Starts Chromium without a window."""
    # Chromium has no sandbox for root, and /dev/shm is small in containers.
    arguments = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return playwright.chromium.launch(executable_path=path, args=arguments)


def _runs(path: str) -> bool:
    """Whether this program starts.

    Ubuntu's chromium-browser may be a script that only prints how to install it.
    """
    return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0
