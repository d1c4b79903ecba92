"""Calls: sessions whose caller talks to the Realtime API itself, by WebRTC or SIP, with the gateway beside them.

    desk      begins such a session, attaches it to its call, and hangs up when it ends
    takeover  takes the calls of gateways that are gone

A call is a session like any other (`gateway.session`), without a client on this side: what the caller says and hears
goes past the gateway, and the model's calls of functions come over the sideband, `wss://…?call_id=…`. To serve another
way in, such as SIP, use the desk: `open`, then place or accept the call, then `attach`.
"""
