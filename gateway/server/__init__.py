"""How uvicorn is run: limits of requests and frames, and the order in which a gateway stops."""
