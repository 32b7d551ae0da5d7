"""Runs, one file each: what, command, cost and expectation in the docstring, then the config."""
