"""The tests of contentq; tests/conftest.py says which PostgreSQL server they use."""
