"""Statements about sessions: lifecycle, quota, item log."""
