"""`ringback up` and `ringback demo`: start, watch and stop every process on this machine."""
