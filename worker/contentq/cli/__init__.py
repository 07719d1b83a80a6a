"""The command line: `contentq --help`."""
