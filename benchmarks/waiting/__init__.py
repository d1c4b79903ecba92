"""Many calls that wait at once in one worker, and what each way to hold them costs: `benchmarks/waiting_calls.py`."""
