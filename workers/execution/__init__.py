"""Execution of one job: claim it, call its function, record its outcome."""
