"""One program for each side, run by that side's own Python: it connects, asks in text, and speaks when told to."""
