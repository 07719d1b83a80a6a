"""Metrics for Prometheus: of the whole queue, and of one worker (extra metrics)."""
