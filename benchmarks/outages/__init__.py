"""What `benchmarks/recovery.py` is made of: an installation, what happens to it, and who measures."""
