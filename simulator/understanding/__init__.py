"""Understands sentences without a scenario: what is said is matched to the tools that the session offers."""
