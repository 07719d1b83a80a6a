"""Handlers that ship with contentq, and the loading of users' handlers. Handlers do not depend on the queue."""
