"""Worker: claims jobs, calls their tools, records the outcomes.

A message is only a hint that carries a job's id. The row decides:

    message ─ id ─> runner ─ claim ──> the row hands out arguments, a deadline and a token
                      │
                   invoker ─ runs the tool within the deadline: in a thread, or on the event loop
                      │
                retry_policy ─ an outcome, or another attempt
                      │
                      └───── finish ─> the row takes the outcome, if the token still holds; the gateway is notified

    app           the Celery application
    thread_pool   its pool of threads, in which a call that waits holds none
    execution     one job from its message to its outcome; `runtime` is all of it for one process
    leases        the process's lease, the jobs that depend on it, and the sweep for all processes
    lifecycle     from the start of a process to its end
    broker        Celery's consumer and transport
    remote_tools  tools of MCP servers and of HTTP APIs
    storage       Postgres and Redis
    tools         the tools that ship
"""
