"""Who is there: tokens of our own, those of an identity provider, scopes, and which web pages may ask.

    tokens       API keys and client secrets: what they look like, and what is kept of them
    claims       what is known of a caller beside the name, as a row holds it
    jwt          a token of an identity provider, held against its keys and our rules
    key_sets     those keys, fetched and kept for a while
    pinned       what the settings may say of such a provider
    origins      which web pages may talk to the gateway; where a token never stands
    doorstep     both, before any route is asked
    scopes       which scope a route asks for
    minting      client secrets over HTTP
    revoking     keys, sign-outs and sessions that are to end, over HTTP

`gateway.auth.authenticator` puts them together: from what a request brings along to a `Caller`, or a refusal in one
sentence.
"""
