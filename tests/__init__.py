"""The tests of contentq; tests/conftest.py describes how they choose a PostgreSQL server."""
