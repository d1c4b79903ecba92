"""Variables that are meant for Celery, Django and a proxy change no call."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.line import running_line

pytestmark = pytest.mark.anyio
OTHERS = {
    "CELERY_BROKER_URL": "amqp://guest:guest@127.0.0.1:1//",
    "CELERY_BROKER_READ_URL": "redis://127.0.0.1:1/0",
    "CELERY_BROKER_WRITE_URL": "redis://127.0.0.1:1/0",
    "CELERY_RESULT_BACKEND": "redis://127.0.0.1:1/0",
    "CELERY_CONFIG_MODULE": "a_module_of_theirs",
    "DJANGO_SETTINGS_MODULE": "a_module_of_theirs.settings",
    **dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:1"),
    "ALL_PROXY": "socks5://127.0.0.1:1",
    "all_proxy": "socks5://127.0.0.1:1",
    "no_proxy": "",
    "NO_PROXY": "",
}


async def test_calls_run_beside_variables_that_are_meant_for_others(
    database: str, redis_db: str, tmp_path: Path
) -> None:
    with running_line(database, redis_db, tmp_path, settings=OTHERS) as line:
        await line.ask_for_the_weather()
        assert not line.has_ended("gateway")
        for name in ("gateway", "worker"):
            told = [each for each in (line.logs / f"{name}.log").read_text().splitlines() if "set and ignored" in each]
            assert len(told) == 1
            assert "CELERY_BROKER_URL, CELERY_BROKER_READ_URL" in told[0]
            assert "guest" not in told[0]
