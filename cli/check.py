"""`ringback check`: what would stop a gateway or a worker from starting in production, with the settings of here."""

from __future__ import annotations

import typer

REFUSED = 1
"""The exit code where something must be changed first."""


def run() -> None:
    """Print a line for each thing that must be changed; exit code 1 where there are any.

    Raises:
        ConfigurationError: a gateway would start in no mode with these settings.
    """
    from gateway.production_checks import facts_of, refuse_a_cluster
    from gateway.settings import GatewaySettings
    from ringback.config.production import complaints
    from ringback.config.settings import load

    settings = load(GatewaySettings)
    refuse_a_cluster(settings.redis_url)
    facts = facts_of(settings)
    found = complaints(facts)
    if facts.redis_is_open is None:
        typer.echo("Redis does not answer: whether it lets in clients without a password is not known.", err=True)
    for sentence in found:
        typer.echo(f"- {sentence}")
    if found:
        raise typer.Exit(REFUSED)
    said = "" if settings.mode == "production" else " RINGBACK_MODE=production makes it the rule."
    typer.echo(f"Nothing stands against production.{said}")
