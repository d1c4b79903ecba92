"""Forms of calls: flat, bounded, and read in no time whatever their parts hold."""

from __future__ import annotations

import pytest

from gateway.api.calls import MAX_HEAD_BYTES, MAX_PARTS, read_form

TYPE = "multipart/form-data; boundary=x"


def part(name: str, value: str = "", *headers: str) -> str:
    head = [f'Content-Disposition: form-data; name="{name}"', *headers]
    return "--x\r\n" + "\r\n".join(head) + f"\r\n\r\n{value}\r\n"


@pytest.mark.parametrize(
    ("kind", "body", "found"),
    [
        (TYPE, part("sdp", "v=0\r\n") + "--x--\r\n", {"sdp": b"v=0\r\n"}),
        (TYPE, part("sdp", "v=0", "Content-Type: application/sdp") + "--x--", {"sdp": b"v=0"}),
        (TYPE, part("a", "1") + part("b", "2") + "--x--", {"a": b"1", "b": b"2"}),
        (TYPE, part("a", "1") + part("a", "2") + "--x--", {"a": b"2"}),
        (TYPE, "\r\n" + part("a", "-- --x") + "--x--\r\nafterwards", {"a": b"-- --x"}),
        (TYPE, '--x\r\ncontent-disposition:form-data;filename="f";name=a\r\n\r\n1\r\n--x--', {"a": b"1"}),
        (TYPE, '--x\r\nContent-Disposition: form-data; filename="a"; name="b"\r\n\r\n1\r\n--x--', {"b": b"1"}),
        ('multipart/form-data; boundary="x"; charset=utf-8', part("a", "1") + "--x--", {"a": b"1"}),
        (TYPE, "--x--\r\n", {}),
    ],
)
def test_a_form_is_read_by_the_names_of_its_parts(kind: str, body: str, found: dict[str, bytes]) -> None:
    assert read_form(kind, body.encode()) == found


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        ("multipart/form-data", part("a") + "--x--", "boundary"),
        (f"multipart/form-data; boundary={'x' * 71}", part("a"), "boundary"),
        (TYPE, "", "begin"),
        (TYPE, "no form", "begin"),
        (TYPE, "some words\r\n" + part("a") + "--x--", "begin"),
        (TYPE, part("a"), "no end"),
        (TYPE, part("a") * (MAX_PARTS + 1) + "--x--", "more than"),
        (TYPE, "--x\r\n\r\n1\r\n--x--", "no name"),
        (TYPE, '--x\r\nContent-Disposition: form-data; filename="a"\r\n\r\n1\r\n--x--', "no name"),
        (TYPE, part("a", "1", "X: " + "y" * MAX_HEAD_BYTES) + "--x--", "no name"),
    ],
)
def test_what_is_no_form_is_refused_in_words(kind: str, body: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_form(kind, body.encode())


@pytest.mark.timeout(10)
def test_a_form_within_a_form_is_bytes() -> None:
    nested = "".join(f"--b{at}\r\nContent-Type: multipart/mixed; boundary=b{at + 1}\r\n\r\n" for at in range(800))
    inner = nested + "\r\n" * 20_000
    body = part("sdp", inner, "Content-Type: multipart/mixed; boundary=b0") + "--x--"
    for _ in range(1_000):  # the reader of `email` takes seconds for one of them
        assert read_form(TYPE, body.encode()) == {"sdp": inner.encode()}
