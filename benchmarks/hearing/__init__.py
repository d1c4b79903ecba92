"""What `benchmarks/ears.py` measures with: sentences, voices, noise, and how words are compared."""
