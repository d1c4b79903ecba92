"""Celery's consumer and transport, as a worker uses them."""
