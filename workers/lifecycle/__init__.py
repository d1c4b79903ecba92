"""Life of a worker process from its start to its end: signals, shutdown, the canary, a thread that died."""
