"""Connects to a PostgreSQL database: DSN, connections, schema, and the embedded server."""
