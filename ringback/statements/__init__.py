"""Every SQL statement, built and returned, never executed: gateway and worker run them on engines of their own.

A transition is one conditional UPDATE, and its row count is the answer: 0 rows mean that another process was first,
or that the row has moved on. All times are the database's (`clock_timestamp()`); a process measures durations only.
Statements that lock several rows take them in id order.

    jobs       admit, claim, finish, retry, hand back, cancel; deliveries back to a session; sweeps
    sessions   open, detach, resume, end; the epoch that fences; what was said; how many there may be
    identity   credentials, tenants, and the row-level security between tenants
    processes  a gateway or a worker, its lease, the tools it serves
    usage      what responses used, and what is left
    history    what the API and the command line read
    retention, erasure, webhooks, clock, json_order, row_state
"""
