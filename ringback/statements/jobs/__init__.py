"""Statements about jobs: admit, claim, finish, deliver, sweep."""
