"""Settings of a process, its logs, and the checks before production."""
