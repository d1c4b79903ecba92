"""The Realtime server: which provider it is, and the connection to it."""
