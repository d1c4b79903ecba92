"""The composition root: `ringback demo|up|gateway|worker|simulator|migrate|jobs|sessions|token`.

Each command imports what it needs when it is called, so that `ringback --help` is quick, and a process that only
reads history loads neither Celery nor FastAPI.

    main       the commands
    up         the whole stack on this machine, for as long as a person wants it
    demo       the same stack, a conversation through it, and what the history holds
    stack      which processes there are, with which settings
    embedded   a real PostgreSQL and a real Valkey out of their wheels
    processes  children that live no longer than we do
    jobs, sessions           the history: what to look up
    reading, tables          … how it is read, and how it is printed
    talk                     the demo's client
"""
