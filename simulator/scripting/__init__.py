"""Scenario files, read and matched."""
