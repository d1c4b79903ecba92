"""What the tests of the workers share: tools with every way to end, and a line to ask for them on."""
