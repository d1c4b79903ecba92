"""States and outcomes of a job, and the wait in a queue."""
