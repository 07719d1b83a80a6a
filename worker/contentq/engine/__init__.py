"""The worker: claims tasks, runs a handler on each, and reports the outcomes."""
