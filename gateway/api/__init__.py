"""HTTP and WebSocket routes: one module for each part of the API that clients and operators call."""
