"""The queue in Python: named functions over the SQL contract. Only this package contains its SQL."""
