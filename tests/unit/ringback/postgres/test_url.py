"""Every process reads DATABASE_URL in the same way; one sentence refuses a wrong one."""

from __future__ import annotations

import pytest
from psycopg import pq

from ringback.config.database_url import database_url
from ringback.errors import ConfigurationError
from ringback.postgres.url import PARAMETERS, read

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("postgresql://h/d", {"host": "h", "dbname": "d"}),
        ("postgres://u:p%40q@h:5433/d", {"user": "u", "password": "p@q", "host": "h", "port": "5433", "dbname": "d"}),
        ("postgresql://h1:5432,h2:5433/d", {"host": "h1,h2", "port": "5432,5433", "dbname": "d"}),
        ("postgresql:///d?host=h1:5432&host=h2:5433", {"host": "h1,h2", "port": "5432,5433", "dbname": "d"}),
        ("postgresql:///d?host=%2Frun%2Fpg&port=5432", {"host": "/run/pg", "port": "5432", "dbname": "d"}),
        (f"postgresql:///d?host=%2F{'f' * 90}", {"host": f"/{'f' * 90}", "dbname": "d"}),
        ("postgresql://[::1]:5432/d", {"host": "::1", "port": "5432", "dbname": "d"}),
        (
            "postgresql://h/d?options=-csearch_path%3Drb&target_session_attrs=read-write",
            {"host": "h", "dbname": "d", "options": "-csearch_path=rb", "target_session_attrs": "read-write"},
        ),
        ("postgresql://h/d?ssl=true&pgbouncer=true", {"host": "h", "dbname": "d", "sslmode": "require"}),
    ],
)
def test_every_form_that_libpq_takes_is_read(
    url: str, arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert read(database_url()).arguments == arguments


def test_every_parameter_that_libpq_knows_is_known() -> None:
    libpqs = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} - {"replication"}
    assert libpqs <= PARAMETERS


def test_a_url_says_whether_there_is_a_pooler() -> None:
    assert read("postgresql://h/d?pgbouncer=true").is_pooled
    assert not read("postgresql://h/d").is_pooled


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://u:x@hunter2@h/d", "it has more than one @"),
        ("postgresql://u:x/hunter2@h/d", "a raw / or ? before it"),
        ("postgresql://u:x?hunter2=1@h/d", "a raw / or ? before it"),
        ("postgresql://u:hunter2%@h/d", "it has a % that two hexadecimal digits do not follow"),
        ("postgresql://u:hunter2%FF@h/d", "stands for half a letter"),
        ("postgresql://u:hunter2@h/d%00e", "it has a %00"),
        ("postgresql://u:hunter2@h/d?ssl=1", "its parameter ssl must be one of true, false"),
        ("postgresql://u:hunter2@h:abc/d", "it has a port that is no number from 1 to 65535"),
        ("postgresql://u:hunter2@h:70000/d", "it has a port that is no number from 1 to 65535"),
        ("postgresql://u:hunter2@h1:1,h2:2,h3:x/d", "it has a port that is no number"),
        ("postgresql://u:hunter2@h/d?port=1,2", "it must name one port, or one for each host"),
        ("postgresql://u:hunter2@[::1/d", "must look like postgresql://"),
        ("postgresql://u:hunter2@::1/d", "it has a port that is no number"),
        (f"postgresql://u:hunter2@{'h' * 64}/d", "it names a host that can be none"),
        ("postgresql://u:hunter2@h/d?schema=public", "a parameter 'schema' that Postgres does not know"),
        ("postgresql://u:hunter2@h/d?sslmode=yes", "its parameter sslmode must be one of disable, allow"),
        ("postgresql://u:hunter2@h/d?pgbouncer=1", "its parameter pgbouncer must be one of true, false"),
        ("postgresql://u:hunter2@h/d?connect_timeout=soon", "its parameter connect_timeout must be a number"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence_without_the_password(
    url: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ConfigurationError) as refused:
        database_url()
    assert str(refused.value).startswith("DATABASE_URL is not usable: ")
    assert sentence in str(refused.value)
    assert SECRET not in str(refused.value)
