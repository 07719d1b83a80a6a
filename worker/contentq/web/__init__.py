"""The page of the queue for people: `contentq web`, or mounted by a host. Needs the extra `web`."""

from contentq.web.app import create_app

__all__ = ["create_app"]
