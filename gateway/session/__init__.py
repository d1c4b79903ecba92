"""One live session: the client connection, the upstream connection, and what the conversation decides, carried out."""
