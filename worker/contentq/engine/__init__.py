"""The worker: claims tasks, runs a handler on each, and reports what became of them."""
