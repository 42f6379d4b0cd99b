"""Hostile clients beside honest ones, on the real web server: `python -m tests.attack`."""
