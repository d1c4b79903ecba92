"""Calls that go to the Realtime API itself, with real gateways and a worker beside them."""
