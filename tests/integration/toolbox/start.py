"""`python -m tests.integration.toolbox.start [pool [queue…]]`: what `ringback worker` calls."""

from __future__ import annotations

import sys

from workers.app import run

if __name__ == "__main__":
    pool, *queues = sys.argv[1:] or ["threads"]
    sys.exit(run(queues or None, pool=pool, concurrency=2 if pool == "prefork" else None))  # type: ignore[arg-type]
