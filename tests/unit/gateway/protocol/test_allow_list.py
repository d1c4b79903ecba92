"""What a policy can allow and what the gateway has types for is the same, or the gateway does not start."""

from __future__ import annotations

import pytest

from gateway.protocol import client_events, field_filter
from gateway.protocol.session_fields import ResponseFields, SessionFields
from ringback.agents.client_policy import CLIENT_EVENTS, SESSION_FIELDS


def test_an_event_without_a_type_or_without_a_policy_stops_the_gateway_and_names_the_file() -> None:
    client_events.hold(client_events.EVENTS, CLIENT_EVENTS)
    with pytest.raises(TypeError, match=r"'response\.mood': add it to gateway/protocol/client_events\.py"):
        client_events.hold(client_events.EVENTS, {*CLIENT_EVENTS, "response.mood"})
    with pytest.raises(TypeError, match=r"'response\.mood': add it to ringback/agents/client_policy\.py"):
        client_events.hold({*client_events.EVENTS, "response.mood"}, CLIENT_EVENTS)


def test_a_field_without_a_type_or_without_a_policy_stops_the_gateway_and_names_the_file() -> None:
    with pytest.raises(TypeError, match=r"'audio\.output\.pitch' .*gateway/protocol/session_fields\.py"):
        field_filter.hold(SessionFields, {*SESSION_FIELDS, "audio.output.pitch"})
    with pytest.raises(TypeError, match=r"'tools'.*ringback/agents/client_policy\.py"):
        field_filter.hold(SessionFields, SESSION_FIELDS)
    with pytest.raises(TypeError, match="'conversation'"):
        field_filter.hold(ResponseFields, {"output_modalities"})
