"""What all requests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from contentq.web.database import Database
from contentq.web.security import USER, Login


@dataclass(frozen=True)
class Site:
    """The database, and who may view and change what."""

    database: Database
    operate: bool | Callable[[Request], bool]
    login: Login | None
    user_header: str | None
    user: Callable[[Request], str | None] | None
    navigation: Sequence[tuple[str, str]]
    """The pages in the navigation: paths and names, which are translated when shown."""

    def user_of(self, request: Request) -> str | None:
        """The name of the user, from the proxy's header or the host's function; None if unknown."""
        if self.user is not None:
            return self.user(request)
        name: str | None = request.scope.get(USER)
        return name

    def may_operate(self, request: Request) -> bool:
        """Whether the user may change something."""
        # A coroutine from a function that should be plain does not grant anything.
        return (self.operate(request) if callable(self.operate) else self.operate) is True
