"""A Realtime API without a key: a server that hears, speaks and calls functions from a script.

    server        accepts or refuses connections and requests, and moves frames for each of them
    calls         conversations that a browser or a phone holds by sound, and that servers join
    callers       programs that call from outside, by phone and as Twilio
    performer     performs what a conversation decides: what takes time has a task
    conversation  decides, without I/O, what each client event leads to; items: the items of a conversation
    scripting     decides what the model says, from a scenario file
    understanding matches what no scenario has a rule for to the session's tools
    responses     turns that decision into the event sequence of the recorded servers
    speech        recognises and speaks, offline, if the extras `ears` and `voice` are installed
    behavior      how the server behaves: knobs and oddities; faults: what breaks
    config        the session object; functions: its tools
    wire          ids, events and refusals

The package shares no code with the gateway, or it would agree with its mistakes.
"""
