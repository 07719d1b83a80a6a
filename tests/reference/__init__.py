"""The generated parts of docs/reference/: from the program, its source, and the catalogue."""
