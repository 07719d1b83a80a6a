"""The minimum work of such a queue: receive the NOTIFY, claim the row.

python -m tests.bench.bare DSN TASKS: reports that it listens, claims this many tasks, and prints when it had each.
"""

from __future__ import annotations

import json
import sys
import time

import psycopg

from tests.bench.drain import RAW_CLAIM


def main(dsn: str, tasks: int) -> None:
    """Claims this many tasks one by one; prints their ids with the monotonic clock in nanoseconds."""
    claim = RAW_CLAIM.format(batch=1).encode()
    claimed_ns: dict[int, int] = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("LISTEN contentq_ready")
        print("listening", flush=True)
        while len(claimed_ns) < tasks:
            list(connection.notifies(timeout=10, stop_after=1))
            while ids := connection.execute(claim).fetchall()[0][0]:
                claimed_ns[ids[0]] = time.monotonic_ns()
    print(json.dumps(claimed_ns))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
