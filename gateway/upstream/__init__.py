"""The Realtime API: which provider serves it, and the connection to it.

providers   one object for each provider: URL, headers, shape of a session, quirks
quirks      how a provider's servers behave
connection  connect, receive, send, close, abort
backoff     how long to wait between attempts
"""
