"""`@tool`: from a typed function to a schema that models take, and the check of their arguments."""
