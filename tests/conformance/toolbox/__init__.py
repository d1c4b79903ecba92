"""What the conformance tests of the gateway offer to a recorded model: its tools, and agents to ask for them."""
