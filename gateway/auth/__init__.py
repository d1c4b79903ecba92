"""Authenticates callers: tokens of the gateway, JWTs of an identity provider, origins of web pages.

authenticator   from what a request brings along to a `Principal`, or a refusal in one sentence
tokens          API keys and client secrets: what they look like, and what is kept of them
resume_tokens   the token with which a client returns to its session
claims          what is known of a caller beside the name, as a row holds it
jwt             verifies a token of an identity provider
key_sets        the provider's keys, fetched and kept for a while
jwt_settings    what the settings may say of a provider
origins         which web pages may talk to the gateway
request_filter  refuses foreign pages, and tokens in URLs, before any route runs
"""
