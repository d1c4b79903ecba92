"""SQL statements. Each function here returns one with its parameters; psycopg runs it in the process that calls.

A function under `@statement` runs once in a process, with bind parameters as its arguments
(`ringback.postgres.statement`).

A transition is one conditional UPDATE, and its row count is the result: 0 rows mean that another process was first, or
that the row has moved on. All times are the database's (`clock_timestamp()`); a process measures durations only.
Statements that lock several rows take them in id order.

    jobs       admit, claim, finish, retry, hand back, cancel; deliver results to a session; sweep
    sessions   open, detach, resume, end; the epoch as fence; the item log; the quota of sessions
    identity   credentials, tenants, and the row-level security between tenants
    processes  a gateway or a worker, its lease, the tools it serves
    usage      what responses used, and what is left
    history    what the API and the command line read
    access     acts of operators on who may come in, with their rows in the audit log
    retention, erasure, session_end, webhooks, clock, json_order, row_state
"""
