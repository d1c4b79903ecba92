"""What a real process shows to Prometheus, scraped over HTTP and parsed by the official client."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.local_http import LOCAL

TOKEN = "the-token-of-prometheus"


@dataclass(frozen=True)
class Scraped:
    """The samples of one scrape."""

    samples: list[Sample]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the series with at least these labels; 0 where there are none."""
        found = [one for one in self.samples if one.name == name and labels.items() <= one.labels.items()]
        return sum(one.value for one in found)

    @property
    def labels(self) -> set[str]:
        return {label for one in self.samples for label in one.labels}


def scrape(url: str, token: str = TOKEN) -> Scraped:
    """Scrape once. `url` has no path."""
    answer = LOCAL.get(f"{url}/metrics", headers={"Authorization": f"Bearer {token}"})
    answer.raise_for_status()
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return Scraped([sample for family in families for sample in family.samples])
