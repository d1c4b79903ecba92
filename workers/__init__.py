"""Does the work: claims a job, runs the tool, records the outcome.

A message is only a hint that brings a job's id. What counts is the row:

    message ─ id ─> execute ── claim ──> the row hands out arguments, a deadline and a token
                       │
                    calling ── runs the tool within the deadline: its own thread, or the one event loop
                       │
                    verdict ── an outcome, or another attempt
                       │
                       └────── finish ─> the row takes the outcome, if the token still holds; the doorbell rings

`lease` keeps the row that says this process lives, `sweeper` does what any process does for all of them, `station`
is all of this for one process, and `app` ties it to Celery. `tools` are the ones that ship.
"""
