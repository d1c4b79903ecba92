"""Connections of the worker to Postgres and Redis."""
