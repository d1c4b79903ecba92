"""The simulator's WebSocket server and its control API."""
