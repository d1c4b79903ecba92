"""The Celery consumer and transport, as a worker uses them."""
