"""Tools that ship: one file each, written as a tool author would, with `from ringback import tool` alone."""
