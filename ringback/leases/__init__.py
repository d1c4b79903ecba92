"""Lease of a process: its clock, and the connection that renews it."""
