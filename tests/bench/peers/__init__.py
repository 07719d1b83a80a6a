"""`make bench-peers`: other Python queues on the same server with the same jobs, alternating with contentq."""
