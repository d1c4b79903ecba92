"""Beside a call: a Realtime API that takes calls, the talk and the hostile page on it, and what is measured of both."""
