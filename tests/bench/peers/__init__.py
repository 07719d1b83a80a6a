"""`make bench-peers`: other queues in Python on the same server, with the same jobs, in turn with contentq."""
