"""The whole system as its users run it: one command, two planes, real clients."""
