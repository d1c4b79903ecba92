"""A new upstream connection for a conversation that goes on: the handshake, what is replayed, what is carried over."""
