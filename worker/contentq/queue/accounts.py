"""Accounts by the names that people and other systems have for them."""

from __future__ import annotations

from contentq.errors import ContentQueueError
from contentq.queue.reading import Connection, read_values
from contentq.task import LARGEST_ID

EXTERNAL = "external:"
"""What comes before the name that another system has for an account."""

NO_ACCOUNT = "there is no account {}; add one with: INSERT INTO accounts (name) VALUES ('…') RETURNING id"
"""The message about a task of an account that does not exist."""

MOST_SHOWN = 5
"""Ids of accounts of one name that a message lists."""

_BY_EXTERNAL_ID = "SELECT id FROM contentq.accounts WHERE external_id = %s"
_BY_NAME = "SELECT id FROM contentq.accounts WHERE name = %s ORDER BY id LIMIT %s"


def find_account(connection: Connection, named: str) -> int:
    """The id of an account: given as its id, as external:VALUE (accounts.external_id), or as its name.

    Whether there is an account with a given id is not looked up. Raises ContentQueueError when no account, or more
    than one, has the name.
    """
    if named.isdecimal() and named.isascii():
        if not 1 <= int(named) <= LARGEST_ID:
            raise ContentQueueError(f"there is no account {named}; ids are from 1 to {LARGEST_ID}")
        return int(named)
    if named.startswith(EXTERNAL):
        found = read_values(connection, _BY_EXTERNAL_ID, [named.removeprefix(EXTERNAL)])
        if not found:
            raise ContentQueueError(f"there is no account with the external_id {named.removeprefix(EXTERNAL)!r}")
        return int(found[0])
    found = read_values(connection, _BY_NAME, [named, MOST_SHOWN + 1])
    if not found:
        raise ContentQueueError(f"there is no account named {named!r}; give its id, external:VALUE, or its name")
    if len(found) > 1:
        ids = ", ".join(map(str, found[:MOST_SHOWN])) + (" and more" if len(found) > MOST_SHOWN else "")
        raise ContentQueueError(f"several accounts are named {named!r}: {ids}; give the id of the one you mean")
    return int(found[0])
