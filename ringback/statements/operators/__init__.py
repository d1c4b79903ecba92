"""What operators do and see: acts on calls, controls of queues and tools, their audit log, and figures."""
