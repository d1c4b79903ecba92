"""States and outcomes of a job, and how long jobs wait."""
