"""Redaction and encryption of what rows and logs must not hold in clear."""
