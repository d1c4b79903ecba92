"""Redis: URL, Celery broker, notifications, and the key space of its users."""
