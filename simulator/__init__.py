"""A Realtime API without a key: a WebSocket server that hears, talks and calls functions from a script.

From the wire inwards:

- ``server`` accepts or refuses connections, and carries frames and time for each of them;
- ``conversation`` decides, without I/O, what each client event leads to;
- ``scripting`` decides what the "model" says, from a scenario file;
- ``responses`` turns that decision into the event sequence of the recorded servers;
- ``speech`` recognises and speaks, offline, when the ``voice`` extra is installed.

The package shares no code with the gateway, or it would agree with its mistakes.
"""
