"""`@tool`: converts a typed function to a tool with a schema that models accept, and checks their arguments."""
