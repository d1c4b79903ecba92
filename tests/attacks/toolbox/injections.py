"""Arguments that a model is talked into: for a schema, for a shell, for a database."""

from __future__ import annotations

import json

ARGUMENTS = {
    "one too many": json.dumps({"what": "x", "is_admin": True}),
    "the call itself": json.dumps({"what": "x", "call": {"user": "somebody"}}),
    "__class__": json.dumps({"what": "x", "__class__": "os.system"}),
    "a reference": json.dumps({"what": {"$ref": "file:///etc/passwd"}}),
    "a number": json.dumps({"what": 7}),
    "a list": json.dumps({"what": ["x"]}),
    "null": json.dumps({"what": None}),
    "nothing": "{}",
    "an array": "[]",
    "text": '"what"',
    "no JSON": "what=x",
    "cut off": '{"what": "x',
    "1 MB": json.dumps({"what": "~"}),
    "deep": '{"what": ' + "[" * 5_000 + "]" * 5_000 + "}",
    "a number of 5,000 digits": '{"what": ' + "9" * 5_000 + "}",
    "not a number": '{"what": NaN}',
}
SHELL = [
    "; rm -rf / --no-preserve-root",
    "$(touch pwned)",
    "`touch pwned`",
    "x && touch pwned",
    "../../../../etc/passwd",
    "--upload-file=/etc/passwd",
    "-c",
    "x\ntouch pwned",
    "'; touch pwned; '",
    "%00",
]
SQL = [
    "'; DROP TABLE jobs; --",
    "1 OR 1=1",
    "' UNION SELECT token_hash FROM api_keys --",
    "id); SELECT pg_sleep(10); --",
    "arguments->'x'::json",
    "%' OR '%'='",
    '"; DELETE FROM sessions; --',
    "$$ || pg_read_file('/etc/passwd') || $$",
]
