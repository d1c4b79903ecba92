"""The worker's connections to Postgres and Redis."""
