"""Two generations of the same tools, as a deploy that rolls out has them beside each other."""
