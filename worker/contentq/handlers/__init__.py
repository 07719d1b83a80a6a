"""Handlers that ship with contentq, and the loading of users' handlers. Handlers know nothing of the queue."""
