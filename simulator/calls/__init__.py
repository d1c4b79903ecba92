"""Calls: conversations that a browser or a phone holds by sound, and that servers join beside it.

call          one call, with everybody who takes part
calls         those that live, by their id
output_audio  what was said and not played yet, and the events of it
legs          how the caller takes part: not at all, by a WebSocket, or by WebRTC
sdp           the offer, and an answer without media
"""
