"""Remote tools: those of an MCP server, and the operations of an HTTP API that has an OpenAPI document.

A TOML file names them (RINGBACK_TOOL_FILES). To a model, a queue and the history they are like any other tool: the same
rules of declaration, limits and behavior hold for them.
"""
