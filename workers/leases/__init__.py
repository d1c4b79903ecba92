"""Lease of the worker, the jobs that depend on it, and the sweep for all processes."""
