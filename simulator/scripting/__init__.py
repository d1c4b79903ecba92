"""Parses scenario files, and matches their turns."""
