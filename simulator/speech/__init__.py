"""Speech of the simulator: what it hears, and its voice.

ears          which ears there are, of whisper and sphinx; hints: what is likely to be said
vad           decides when the user begins to speak and has finished; input_buffer: the audio until then
synthesis     the voice; chunking: the slices in which it is sent
telephony     the formats of the telephone network
resampling    from the protocol's rate to that of the models
"""
