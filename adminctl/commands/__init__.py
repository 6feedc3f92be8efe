"""One file per noun: a command is parse, one call, print."""
