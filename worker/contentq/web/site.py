"""What all requests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from contentq.web.database import Database
from contentq.web.security import USER, Login


@dataclass(frozen=True)
class Site:
    """The database, and who may do what."""

    database: Database
    operate: bool | Callable[[Request], bool]
    login: Login | None
    user_header: str | None
    user: Callable[[Request], str | None] | None
    navigation: Sequence[tuple[str, str]]
    """The pages that every page leads to: paths and names, which are translated where they are shown."""

    def user_of(self, request: Request) -> str | None:
        """The name of whoever asks: of the proxy's header, or as the host says; None when nobody says."""
        if self.user is not None:
            return self.user(request)
        name: str | None = request.scope.get(USER)
        return name

    def may_operate(self, request: Request) -> bool:
        """Whether whoever asks may change something."""
        # A coroutine, of a function that was to be plain, is no yes.
        return (self.operate(request) if callable(self.operate) else self.operate) is True
