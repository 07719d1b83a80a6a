"""The queue as seen from Python: named functions over the SQL contract; no other module holds its SQL."""
