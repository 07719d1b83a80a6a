"""The parts of docs/reference/ that are generated: from the program, from its source, and from the catalogue."""
