"""What Twilio is told is well-formed, whatever stands in it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from gateway.telephony.twilio import twiml


def test_a_call_is_connected_with_its_token_and_asked_about_again() -> None:
    said = twiml.connect("wss://a.example/m", "https://a.example/v?again=1&x=2", 'ek_"<&')
    connect = ElementTree.fromstring(said)[0]  # noqa: S314 — our own
    stream = connect[0]
    assert (connect.tag, connect.attrib) == ("Connect", {"action": "https://a.example/v?again=1&x=2"})
    assert (stream.tag, stream.attrib) == ("Stream", {"url": "wss://a.example/m"})
    assert [each.attrib for each in stream] == [{"name": "token", "value": 'ek_"<&'}]


@pytest.mark.parametrize(
    ("target", "path", "text"),
    [("tel:+18005551213", "Dial", "+18005551213"), ("sip:a&b@example.com", "Dial/Sip", "sip:a&b@example.com")],
)
def test_a_call_is_transferred_to_a_number_or_an_address(target: str, path: str, text: str) -> None:
    found = ElementTree.fromstring(twiml.transfer(target)).find(path)  # noqa: S314 — our own
    assert found is not None
    assert found.text == text


@pytest.mark.parametrize("words", [twiml.HANG_UP, twiml.BUSY, twiml.REJECT])
def test_each_refusal_is_well_formed(words: str) -> None:
    assert len(ElementTree.fromstring(words)) == 1  # noqa: S314 — our own
