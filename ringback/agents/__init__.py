"""Agent files (`agents/*.toml`), read and checked."""
