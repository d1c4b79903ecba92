"""Agents' files for calls by telephone."""

from __future__ import annotations

from pathlib import Path

NUMBER, FAMILY_NUMBER, SALES = "+18005551212", "+18005550000", "+18005551213"
DESK = f"""
model = "gpt-realtime-2.1"
instructions = "You help callers of a bakery."
tools = ["order_status"]

[phone]
numbers = ["{NUMBER}"]

[phone.transfer_to]
sales = "tel:{SALES}"
"""
FAMILY = f"""
model = "gpt-realtime-2.1"
instructions = "You help friends."

[phone]
numbers = ["{FAMILY_NUMBER}"]
callers = ["+4930111"]
"""


def agents_in(folder: Path) -> Path:
    """A folder with the agents: one for everybody's number, and one for known callers alone."""
    folder.mkdir()
    for name, text in (("demo", DESK), ("family", FAMILY)):
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder
