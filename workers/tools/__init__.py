"""The tools that ship: one file each, written as anybody would write one, with `from ringback import tool` alone."""
