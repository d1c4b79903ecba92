"""What rows and logs must not hold in clear: redaction and encryption."""
