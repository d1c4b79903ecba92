"""A process's lease: how long it holds, and the thread that renews it."""
