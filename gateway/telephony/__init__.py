"""Calls by telephone: a caller in the place of a client, and the same agents, tools, jobs and history behind them.

routing         who is called, and who calls: which agent takes the call, and as which user it runs
twilio/         calls over Twilio Media Streams: the audio comes to the gateway
"""
