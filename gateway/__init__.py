"""HOLDS THE LINE. Async throughout; the rooms, in the order a call walks through them:

app           wires everything once, opens what is shared, closes it in reverse
routes        GET /healthz, /readyz and the WebSocket /v1/realtime; no logic
callers       who is calling: tokens, by header or by the SDKs' subprotocols
policy        what a client may say, decoded once and written anew
session       one live conversation: sockets, doorbell, clock; performs what the brain asks for
conversation  the brain, without I/O
events        what the Realtime API may say: a JSON object whose parts have the protocol's shape
upstream      the connection to the Realtime API; providers says how each wants to be called
dispatch      RecordCall made real: the row, then the Celery message
presence      which sessions this process holds
inbox         hears the doorbell, looks into the table, wakes sessions
lease         this process's lease, and whether its event loop turns
keeper        its share of the sweeping
store         Postgres, bounded
history       the API over what happened
"""
