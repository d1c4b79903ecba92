"""The load: callers and a model, each a process of its own, run by a Python with picows. Nothing of the product."""
