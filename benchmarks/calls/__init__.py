"""What a call costs, beside the floors of its shape and frameworks in one process: `benchmarks/call_latency.py`."""
