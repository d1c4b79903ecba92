"""A worker process from its start to its end: signals, shutdown, the canary, a child that died."""
