"""Numbers for machines, as Prometheus reads them: of the whole queue, and of one worker (extra metrics)."""
