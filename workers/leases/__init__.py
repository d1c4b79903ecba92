"""The worker's lease, the jobs that hang on it, and the sweep for all processes."""
