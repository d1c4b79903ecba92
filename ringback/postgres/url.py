"""Parser of DATABASE_URL: the arguments of each connection, or a sentence on why the URL cannot be used.

All forms of libpq's work, several hosts among them. Libpq's own error about a wrong URL is not shown: it quotes, and
the quote may be part of a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

LOOK = "must look like postgresql://user:password@host:5432/name"
RAW = "write what is special in its password with a %: @ as %40, / as %2F, ? as %3F, : as %3A, % as %25"
POOLER = "pgbouncer"
"""Parameter that says that a pooler stands in between, spelt as in other projects. Ringback reads it, not libpq."""
NUMBERS = frozenset(
    {"connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"}
)
ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>.*))?")
"""One host of a URL."""
PARAMETERS = frozenset(
    {
        *("application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname"),
        *("fallback_application_name", "gssdelegation", "gssencmode", "gsslib", "host", "hostaddr", "keepalives"),
        *("keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname", "load_balance_hosts"),
        *("max_protocol_version", "min_protocol_version", "oauth_client_id", "oauth_client_secret", "oauth_issuer"),
        *("oauth_scope", "options", "passfile", "password", "port", "require_auth", "requirepeer"),
        *("scram_client_key", "scram_server_key", "service", "ssl", "ssl_max_protocol_version"),
        *("ssl_min_protocol_version", "sslcert", "sslcertmode", "sslcompression", "sslcrl", "sslcrldir", "sslkey"),
        *("sslkeylogfile", "sslmode", "sslnegotiation", "sslpassword", "sslrootcert", "sslsni"),
        *("target_session_attrs", "tcp_user_timeout", "user"),
        POOLER,
    }
)
"""Parameters that libpq knows (PostgreSQL 18, Database Connection Control Functions), and `POOLER`."""
CHOICES = {
    "sslmode": "disable, allow, prefer, require, verify-ca, verify-full",
    "target_session_attrs": "any, read-write, read-only, primary, standby, prefer-standby",
    "channel_binding": "disable, prefer, require",
    "gssencmode": "disable, prefer, require",
    "load_balance_hosts": "disable, random",
    "ssl": "true, false",
    POOLER: "true, false",
}
"""Values that libpq would refuse only when it connects, where the error looks like a server that is away."""
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Target:
    """Parsed DATABASE_URL.

    Args:
        arguments: arguments of libpq, by its keywords.
        is_pooled: True if the URL says that a pooler stands in between. Otherwise the connection finds out.
    """

    arguments: dict[str, str] = field(repr=False)
    is_pooled: bool = False


def postgres_url(url: str) -> str:
    """Return the URL with the driver that Ringback uses. Accepts `postgres://` and `postgresql://`.

    Raises:
        ValueError: the URL cannot be used. The text shows no part of it but the name of a parameter.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise ValueError(LOOK)
    written = f"postgresql+psycopg://{rest}"
    read(written)
    return written


def read(url: str) -> Target:
    """Parse the URL.

    Raises:
        ValueError: as `postgres_url`.
    """
    head, _, query = url.partition("://")[2].partition("?")
    _refuse_what_is_raw(head, query)
    said = _parameters(query)
    arguments = _authority(head)
    arguments |= _hosts([value for name, value in said if name == "host"])
    arguments |= {name: value for name, value in said if name != "host"}
    if arguments.pop("ssl", "") == "true":  # JDBC's word, which libpq accepts too
        arguments["sslmode"] = "require"
    is_pooled = arguments.pop(POOLER, "") == "true"
    _refuse_bad_addresses(arguments)
    return Target(arguments, is_pooled)


def _authority(head: str) -> dict[str, str]:
    """Parse the part before the ?: `user:password@host:port,host:port/name`, each part of which may be missing."""
    authority, _, name = head.partition("/")
    who, _, where = authority.rpartition("@")
    user, _, password = who.partition(":")
    found = [ADDRESS.fullmatch(each) for each in where.split(",")]
    if not all(found):
        raise ValueError(f"{LOOK}; or {RAW}")
    hosts = ",".join(unquote(each["name"] or each["ipv6"] or "") for each in found if each)
    ports = ",".join(each["port"] or "" for each in found if each)
    given = {"user": unquote(user), "password": unquote(password), "dbname": unquote(name), "host": hosts}
    given["port"] = ports if ports.strip(",") else ""
    return {name: value for name, value in given.items() if value.strip(",")}


def _refuse_what_is_raw(head: str, query: str) -> None:
    """Refuse a password whose special characters are not written with a %: it shifts all that follows it."""
    authority, _, path = head.partition("/")
    if authority.count("@") > 1 or "@" in path or ("@" in query and "@" not in authority):
        raise ValueError(f"it has more than one @, or a raw / or ? before it: {RAW}")
    if re.search(r"%(?![0-9A-Fa-f]{2})", f"{head}?{query}"):
        raise ValueError(f"it has a % that two hexadecimal digits do not follow: {RAW}")
    plain = unquote(head + query)
    if "\N{REPLACEMENT CHARACTER}" in plain:
        raise ValueError("it has a % that stands for half a letter: each letter is written in UTF-8, such as %C3%A4")
    if "\0" in plain:
        raise ValueError("it has a %00, at which Postgres would take it to end: take it out")


def _parameters(query: str) -> list[tuple[str, str]]:
    pairs = [each.partition("=") for each in query.split("&") if each]
    said = [(unquote(name), unquote(value)) for name, _, value in pairs]
    for name, value in said:
        if name not in PARAMETERS:
            raise ValueError(f"it has a parameter {name!r} that Postgres does not know: take it out")
        if name in CHOICES and value not in CHOICES[name].split(", "):
            raise ValueError(f"its parameter {name} must be one of {CHOICES[name]}")
        if name in NUMBERS and not (value.isascii() and value.isdigit()):
            raise ValueError(f"its parameter {name} must be a number")
    return said


def _hosts(values: list[str]) -> dict[str, str]:
    """Parse `host=h1:5432&host=h2:5432`, SQLAlchemy's form of several hosts."""
    if not values:
        return {}
    split = [found.groups() if (found := re.fullmatch(r"([^/:]+):(\d+)", value)) else (value, "") for value in values]
    hosts, ports = (",".join(each) for each in zip(*split, strict=True))
    return {"host": hosts, "port": ports} if any(port for _, port in split) else {"host": hosts}


def _refuse_bad_addresses(arguments: dict[str, str]) -> None:
    hosts, ports = arguments.get("host", "").split(","), arguments.get("port", "").split(",")
    if not all(port == "" or (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT) for port in ports):
        raise ValueError(f"it has a port that is no number from 1 to {MAX_PORT}; or {RAW}")
    if len(ports) not in {1, len(hosts)}:
        raise ValueError("it must name one port, or one for each host")
    try:
        for host in hosts:
            if not host.startswith("/"):  # the folder of a socket may have any name
                host.encode("idna")
    except UnicodeError:
        raise ValueError(f"it names a host that can be none; or {RAW}") from None
