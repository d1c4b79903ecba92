"""Commands of operators: acts on calls, queues and tools, what they see live, and the audit log.

The acts are statements in Postgres, as the API's: workers and gateways heed them without being told.
"""
