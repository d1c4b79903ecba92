"""Owns the Realtime connections: one process, asynchronous throughout.

    app           builds everything once, in order, and closes it in reverse
    server        uvicorn: `run` listens and drains; limits of requests and frames
    api           routes: the WebSocket, the history, client secrets, cancelling, approving, revoking, erasing
    web           pages for people: the one at `/` that talks, their files and headers
    auth          authenticates callers: tokens, JWTs, origins
    protocol      client events as types; what a client may send
    session       one live session: both connections, and the actions of its conversation carried out
    conversation  decides what a session does next, without I/O
    upstream      the connection to the Realtime API, and what differs between providers
    budgets       what responses use, and whether another may begin
    background    tasks of the whole process: lease, results that arrive, tools, agents, retention, webhooks
    storage       Postgres, Redis and the Celery publisher
    errors        the exceptions of all packages, and the body of every error
    live_sessions, bounded_semaphore, close_codes, http_client, token_bucket, backoff, retry, settings,
    production_checks

A call passes session, conversation, session (`call_recorder`) and storage on its way to its row.
"""
