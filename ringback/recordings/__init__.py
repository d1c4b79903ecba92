"""Recordings of both voices of a talk, on its axis: milliseconds from the beginning of the session.

audio      pieces, their formats, how loud they are, and their samples
wav        the pieces as one WAV file with two channels, any part of which can be made by itself
waveform   the pieces as a few numbers, to be drawn

The gateway decides where each piece lies (`gateway.session.recording`); rows of `recordings` hold them.
"""
