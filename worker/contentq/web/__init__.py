"""The web page of the queue, for `contentq web` or to mount in a host application. Needs the extra `web`."""

from contentq.web.app import create_app

__all__ = ["create_app"]
