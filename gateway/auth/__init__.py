"""Authenticates callers: tokens of the gateway, JWTs of an identity provider, origins of web pages.

authenticator   returns the `Principal` of a request, or raises
tokens          API keys and client secrets: their format and their hash
resume_tokens   the token with which a client returns to its session
claims          data about a user beside the name, as a row holds it
jwt             verifies a token of an identity provider
key_sets        the provider's keys, fetched and kept for a while
jwt_settings    what the settings may say of a provider
origins         which web pages may connect
request_filter  refuses foreign pages, and tokens in URLs, before any route runs
"""
