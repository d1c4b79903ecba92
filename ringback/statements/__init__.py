"""Every SQL statement, built and returned, never executed: each side runs them on its own engine.

A transition is one conditional UPDATE, and its row count is the answer: 0 rows mean that somebody else was first,
or that the world has moved on. All times are the database's (`clock_timestamp()`); a process measures durations
only. Statements that lock several rows take them in id order.

    processes   a gateway or a worker, its lease, the tools it serves
    sessions    open, detach, resume, end; the epoch that fences
    places      how many sessions there are at once, and one more
    usage       what responses used, and what is left
    tenants     what each may use
    items       what was said, and all that a rebuilt conversation takes in
    jobs        admit, claim, finish, retry, hand back, cancel: the life of one call
    deliveries  ready → sent → acked: the way back
    sweeps      what any process does for all of them, any number at once
    history     what the API and the command line read
"""
