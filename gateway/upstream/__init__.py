"""The Realtime API: which provider serves it, the connection to it, and what its events mean.

providers        one object for each provider: URL, headers, shape of a session, quirks
quirks           how a provider's servers behave
call_endpoints   where a provider takes calls over WebRTC and SIP, and in which form
connection       connect, receive, send, close, abort
events           what a model's server tells a conversation: domain events, of any protocol
translated       connects to a server of another protocol, by a translation
realtime_events  translates the Realtime API's events into domain events
"""
