"""Talking sessions through the gateway and through relays that understand nothing: `benchmarks/talking_sessions.py`."""
