"""Statements about sessions: their life, their quota, what was said."""
