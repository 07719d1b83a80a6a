"""What `contentq bench` measures: a worker at work on an empty queue, in a database of its own."""
