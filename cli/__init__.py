"""The command line, and the composition root: `ringback demo|up|gateway|worker|simulator|migrate|jobs|sessions|token`.

Each command imports what it needs when it is called, so that `ringback --help` is quick, and a process that only
reads history loads neither Celery nor FastAPI.

    main         the commands
    supervisor   `gateway --processes` and `worker --processes`: the parent that forks, replaces and ends them
    local_stack  `up` and `demo`: which processes there are, started, watched and stopped
    tools        `ringback tools`: list, check, run and create tools
    rehearsal    a whole conversation in one process, for tests of a tool (`ringback.testing`)
    output       tables, and the history queries behind them
    jobs, sessions, usage, tenants, tokens, users, agents, check    one command each
"""
