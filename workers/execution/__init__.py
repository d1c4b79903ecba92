"""One job: claimed, its function called, its outcome recorded."""
