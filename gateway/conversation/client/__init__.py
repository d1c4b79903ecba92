"""The client's side of a conversation: what it asks for, what it is shown, what is sent again after a reconnect."""
