"""A Realtime API made of what was recorded, or of single events: the upstream of the gateway's conformance tests.

wire        one connection of the gateway's, from the server's side, and a server for it
recordings  plays a recording as the server: sends what was received, awaits what was sent
model       the smallest server that can call a function, with a switch for each way in which real ones differ
odd         a server for many connections, one after the other and beside each other, with one odd manner
"""
