"""The command `penstock`: the small parent of both planes, and what sets a deployment up."""
