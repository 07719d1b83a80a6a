"""Reaching a PostgreSQL database: its DSN, connections, schema, and the embedded server."""
