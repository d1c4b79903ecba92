"""Callers: programs that call from outside, as people and carriers do. Each is a function for tests and a command.

phone     calls the simulator, which lets a webhook know, as a provider with SIP does
twilio    calls a gateway as Twilio does: a signed webhook, then a media stream
sound     files of sound, and the law of the telephone network
command   `python -m simulator phone|twilio`
"""
