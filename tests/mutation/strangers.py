"""The guards of who is there: tokens that are spent, void or for something else, and pages that are not ours."""

from __future__ import annotations

from tests.mutation.mutant import gone

ACCESS = "ringback/statements/identity/credentials.py"
ENDING, SESSIONS = "ringback/statements/session_end.py", "ringback/statements/sessions/lifecycle.py"
JWT, KEY_SETS, ORIGINS = (f"gateway/auth/{name}.py" for name in ("jwt", "key_sets", "origins"))
MINTING, SCOPES = "gateway/api/client_secrets.py", "gateway/api/dependencies.py"
DOORSTEP = "gateway/auth/request_filter.py"
CALLERS = "gateway/auth/authenticator.py"

T_ROWS, T_API = "tests/integration/statements/test_identity.py", "tests/integration/api/test_identity.py"
T_JWT, T_KEY_SETS = "tests/unit/gateway/auth/test_jwt.py", "tests/unit/gateway/auth/test_key_sets.py"
T_ORIGINS, T_DOORSTEP = "tests/unit/gateway/auth/test_origins.py", "tests/unit/gateway/auth/test_request_filter.py"

STRANGERS = [
    gone(
        "a secret is spent once",
        T_ROWS,
        ACCESS,
        "or_(mine, _secret_has_uses()), ",
        "",
        "def spend_secret(",
    ),
    gone("a secret ends", T_ROWS, ACCESS, ", client_secrets.c.expires_at > now()", "", "def _secret_has_uses("),
    gone("a secret dies with its key", T_ROWS, ACCESS, ", ~revoked", "", "def secret_is_not_void("),
    gone("a secret dies with a sign-out", T_ROWS, ACCESS, ", ~since", "", "def secret_is_not_void("),
    gone(
        "a spent secret comes back to its own session alone",
        T_ROWS,
        ACCESS,
        ".where(sessions.c.credential == secret_credential())",
        "",
        "def secret_by_hash(",
    ),
    gone("a tenant's secrets are bounded", T_ROWS, ACCESS, ".where(there_is_room | is_there)"),
    gone(
        "a revoked key is unknown",
        T_ROWS,
        ACCESS,
        "        api_keys.c.revoked_at.is_(None),\n",
        "",
        "def key_is_valid(",
    ),
    gone(
        "a key is revoked by its own tenant", T_ROWS, ACCESS, ", api_keys.c.tenant == tenant)", ")", "def revoke_key("
    ),
    gone("a sign-out is about one tenant", T_ROWS, ACCESS, "signed_out.c.tenant == tenant, ", "", "def is_signed_out("),
    gone(
        "a session is ended by its own tenant",
        T_API,
        ENDING,
        " & (sessions.c.tenant == tenant)",
        "",
        "def sessions_of_user(",
    ),
    gone("a key ends", T_ROWS, ACCESS, "api_keys.c.expires_at > now()", "api_keys.c.expires_at.is_not(None)"),
    gone(
        "who is to end comes back nowhere",
        T_ROWS,
        SESSIONS,
        "        & sessions.c.end_wanted.is_(None)\n",
        "",
        "def _may_resume(",
    ),
    gone(
        "who is to end is not detached",
        T_ROWS,
        SESSIONS,
        "            sessions.c.end_wanted.is_(None) | sessions.c.call_id.is_not(None),\n",
        "",
        "def detach(",
    ),
    gone(
        "a secret is given no scope of the gateway's", T_API, MINTING, "scope in SCOPES and scope != REALTIME", "False"
    ),
    gone("a scope is given only by its holder", T_API, MINTING, "scope not in who.scopes", "False"),
    gone("a key of a caller's name opens nothing", T_API, CALLERS, "row.user_id.startswith(PHONE_USER)", "False"),
    gone("a route asks for its scope", T_API, SCOPES, "scope not in who.scopes", "False"),
    gone("a JWT's key is for its algorithm", T_JWT, JWT, ' or found.get("alg", algorithm) != algorithm'),
    gone(
        "a JWT gives no scope of the gateway's unasked",
        T_JWT,
        JWT,
        "(given & rules.gateway_scopes)",
        "(given & set(SCOPES))",
    ),
    gone(
        "an invented key is looked for now and then",
        T_KEY_SETS,
        KEY_SETS,
        "if self._clock() - self._tried_at < pause:",
        "if False:",
    ),
    gone("keys grow too old", T_KEY_SETS, KEY_SETS, " or self._age > STALE_SECONDS"),
    gone(
        "lookups leave connections to the calls",
        "tests/unit/gateway/auth/test_authenticator.py",
        CALLERS,
        "async with self._lookups:",
        "if True:",
    ),
    gone(
        "an origin is compared as a whole",
        T_ORIGINS,
        ORIGINS,
        "origins[0] in allowed",
        "origins[0].startswith(tuple(allowed))",
    ),
    gone("two origins are none", T_ORIGINS, ORIGINS, "if len(origins) > 1:", "if False:"),
    gone("a foreign page may only read", T_DOORSTEP, DOORSTEP, "if not may_ask(", "if False and not may_ask("),
    gone("two tokens are none", T_DOORSTEP, DOORSTEP, " > 1:", " > 9:"),
]
