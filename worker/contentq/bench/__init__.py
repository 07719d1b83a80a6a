"""What `contentq bench` measures: a worker at work on a copy of the queue, in a schema of its own."""
