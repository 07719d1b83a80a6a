"""What several tests need: a PostgreSQL server, databases on it, rows in them, and waiting without sleeps."""
