"""Parser of REDIS_URL: one form that every Redis client reads in the same way, or a sentence on why it cannot be used.

The two libraries that connect read a URL differently. Kombu verifies no certificate unless the URL says so, and opens
plain TCP for `rediss://` if a transport has a name of its own. Redis-py has other words for `ssl_cert_reqs`, and
another place for the database. So the URL is parsed and written anew, with every choice explicit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

LOOK = "must look like redis://user:password@host:6379/0 (or rediss://… for TLS)"
RAW = "write what is special in its password with a %: / as %2F, ? as %3F, # as %23, @ as %40, % as %25"
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""Characters of which `urlsplit` drops some without a word."""
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 6379

CERT_REQS = {
    **{word: word for word in ("none", "optional", "required")},
    **{f"cert_{word}": word for word in ("none", "optional", "required")},
}
"""`ssl_cert_reqs` as redis-py spells it, and as kombu and Celery do, in upper or lower case."""
FLAGS = {"true": "true", "1": "true", "yes": "true", "false": "false", "0": "false", "no": "false"}
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TLS = ("ssl_cert_reqs", "ssl_check_hostname", *FILES, "ssl_ca_path", "ssl_password")
PARAMETERS = ("db", *TLS)
"""All parameters that a URL may have. Ringback chooses time-outs and pools: each of its connections needs others."""

CLUSTER = (
    "the Redis at REDIS_URL runs in cluster mode, and a queue needs commands over several keys, which a cluster "
    "refuses: give one that is no cluster (on ElastiCache: cluster mode disabled; not serverless)"
)


def redis_url(url: str) -> str:
    """Return the URL as redis-py (sync and asyncio) and kombu all read it: TLS is verified unless the URL says not.

    Raises:
        ValueError: the URL cannot be used. The text shows no part of it but the name of a parameter.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme not in {"redis", "rediss"}:
        raise ValueError(LOOK)
    parts = _split(f"{scheme}://{rest}")
    said = _parameters(parts)
    query = _tls(said) if scheme == "rediss" else ""
    if scheme == "redis" and any(name in TLS for name in said):
        raise ValueError("it has parameters for TLS, which redis:// does without: begin it with rediss://")
    return f"{scheme}://{_who(parts)}{_where(parts)}/{_database(parts, said)}{query}"


def _split(url: str) -> SplitResult:
    """Return the parts of the URL. The errors of `urlsplit` are not shown: they quote the password."""
    if CONTROL.search(url):
        raise ValueError("it holds a tab, a line's end or the like, which a % must write, such as %09")
    if "\N{REPLACEMENT CHARACTER}" in unquote(url):
        raise ValueError("it has a % that stands for half a letter: each letter is written in UTF-8, such as %C3%A4")
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError(f"{LOOK}; or {RAW}, [ as %5B, ] as %5D") from None


def is_verified(url: str) -> bool:
    """Return False for TLS that would accept any server's certificate. `url` is one that `redis_url` has written."""
    said = dict(parse_qsl(urlsplit(url).query))
    if not url.startswith("rediss://"):
        return True
    has_own_authority = bool(said.get("ssl_ca_certs") or said.get("ssl_ca_path"))
    takes_any_name = said.get("ssl_check_hostname") == "false" and not has_own_authority
    return said.get("ssl_cert_reqs") != "none" and not takes_any_name


def is_cluster(hello: object) -> bool:
    """Return whether the reply to `HELLO` (RESP2 or RESP3) is that of a node of a cluster."""
    if not isinstance(hello, Mapping):
        words = list(hello) if isinstance(hello, (list, tuple)) else []
        hello = dict(zip(words[::2], words[1::2], strict=False))
    said = {_text(name): _text(value) for name, value in hello.items()}
    return said.get("mode") == "cluster"


def without_password(url: str) -> str:
    """Return the same URL for a client that gives no name and no password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _who(parts: SplitResult) -> str:
    if parts.username is None and parts.password is None:
        return ""
    user, password = (quote(unquote(word or ""), safe="") for word in (parts.username, parts.password))
    return f"{user}:{password}@" if password else f"{user}@"


def _where(parts: SplitResult) -> str:
    if parts.fragment:
        raise ValueError(f"it ends at a raw #: {RAW}")
    host, port = unquote(parts.hostname or DEFAULT_HOST), _port(parts)
    if port == 0:
        raise ValueError(f"it has a port that is no number from 1 to 65535; or {RAW}")
    if not re.fullmatch(r"[\w.:-]+", host):
        raise ValueError(f"it must name one host: Ringback uses no sentinel and no list of servers; or {RAW}")
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError(f"it names a host that can be none; or {RAW}") from None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _port(parts: SplitResult) -> int:
    """Return the port; 0 if it can be none."""
    try:
        return DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        return 0


def _database(parts: SplitResult, said: Mapping[str, str]) -> str:
    number = said.get("db") or unquote(parts.path).strip("/") or "0"
    if not (number.isascii() and number.isdigit()):
        raise ValueError(f"it must end with the number of a database, such as /0; or {RAW}")
    return str(int(number))


def _parameters(parts: SplitResult) -> dict[str, str]:
    if "@" in f"{parts.path}{parts.query}{parts.fragment}" and "@" not in parts.netloc:
        raise ValueError(f"it has its @ behind a raw / or ?: {RAW}")
    said = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := next((name for name in said if name not in PARAMETERS), None):
        raise ValueError(
            f"it has a parameter {unknown!r} that Ringback does not take; it takes {', '.join(PARAMETERS)}"
        )
    return said


def _tls(said: Mapping[str, str]) -> str:
    """Return the query with every choice explicit: kombu would choose otherwise for what is left out."""
    needs = CERT_REQS.get(said.get("ssl_cert_reqs", "required").lower())
    if needs is None:
        raise ValueError("it has an ssl_cert_reqs that is none of required, optional and none")
    checks = FLAGS.get(said.get("ssl_check_hostname", "true").lower())
    if checks is None:
        raise ValueError("it has an ssl_check_hostname that is neither true nor false")
    for name in FILES:
        if name in said and not Path(said[name]).is_file():
            raise ValueError(f"it names a file with {name} that is not there")
    if "ssl_ca_path" in said and not Path(said["ssl_ca_path"]).is_dir():
        raise ValueError("it names a folder with ssl_ca_path that is not there")
    written = {name: said[name] for name in TLS if name in said}
    written |= {"ssl_cert_reqs": needs, "ssl_check_hostname": checks}
    return f"?{urlencode(written)}"
