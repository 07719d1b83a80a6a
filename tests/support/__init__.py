"""Shared tools of the tests: PostgreSQL servers, databases, rows, and waiting without sleeps."""
