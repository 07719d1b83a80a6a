"""Handlers that ship with contentq, and finding the user's own. Handlers know nothing of the queue."""
