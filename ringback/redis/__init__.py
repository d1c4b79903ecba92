"""Redis: the URL, the Celery broker on it, notifications, the keys of each user."""
