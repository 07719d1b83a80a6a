"""The handler `command`: any program, in any language."""
