"""What `benchmarks/console.py` is made of: rows of a busy installation, pages, who asks for them, and viewers."""
