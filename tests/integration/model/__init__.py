"""A model of the line in Python, held against real rows: what each statement must do, and what must never be."""
