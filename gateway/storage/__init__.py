"""The gateway's connections to Postgres, Redis and the Celery broker."""
