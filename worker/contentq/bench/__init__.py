"""The measurements of `contentq bench`: a worker on an empty queue, in a separate database."""
