"""`ringback up` and `ringback demo`: every process on this machine, started, watched and stopped."""
