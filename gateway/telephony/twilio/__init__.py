"""Twilio: its requests, and the WebSocket over which it brings the audio of a call (Media Streams).

signature    whether a request is Twilio's
twiml        what Twilio is told to do with a call
stream       translates between Media Streams and the Realtime protocol
connection   the same as a session's client
admission    from a request to a session
call_control transfers a call
"""
