"""Memory and processor time of a process, from Linux."""

from __future__ import annotations

import os
import re
from pathlib import Path


def peak_memory(pid: int) -> float:
    """Peak resident memory in megabytes; 0 if it has ended."""
    return _status(pid, "VmHWM")


def memory(pid: int) -> float:
    """Resident memory in megabytes; 0 if it has ended."""
    return _status(pid, "VmRSS")


def cpu_seconds(pid: int) -> float:
    """Processor time in seconds, user and kernel."""
    after_the_name = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(after_the_name[11]) + int(after_the_name[12])) / os.sysconf("SC_CLK_TCK")


def _status(pid: int, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0
