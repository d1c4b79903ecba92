"""Tasks that run as long as the gateway: its lease, results that arrive, tools that workers announce, retention."""
