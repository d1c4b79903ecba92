"""Responses of the simulated model, event by event."""
