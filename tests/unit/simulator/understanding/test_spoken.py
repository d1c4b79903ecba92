"""Numbers and ids as they are spoken, and as recognisers write them."""

from __future__ import annotations

import pytest

from simulator.understanding.spoken import words


@pytest.mark.parametrize(
    ("sentence", "read"),
    [
        ("one oh four two", "1042"),
        ("ten forty two", "1042"),
        ("one, O4-2", "1042"),
        ("a one oh four two", "a 1042"),
        ("A-1042?", "a 1042"),
        ("INV 1 0 4", "inv 104"),
        ("zero zero seven", "007"),
        ("between one and ten", "between 1 and 10"),
        ("from 5 to 25", "from 5 to 25"),
        ("5 25", "5 25"),
        ("forty two and seven", "42 and 7"),
        ("two hundred and five people", "205 people"),
        ("three thousand two hundred and five", "3205"),
        ("one hundred and twenty three", "123"),
        ("nineteen eighty four", "1984"),
        ("twenty twenty six", "2026"),
        ("1,042 things", "1042 things"),
        ("seven thirty pm", "730 pm"),
        ("oh no", "oh no"),
        ("oh one moment", "oh 1 moment"),
        ("don\u2019t", "don't"),
        ("", ""),
    ],
)
def test_numbers_are_read_as_digits(sentence: str, read: str) -> None:
    assert " ".join(word.normal for word in words(sentence)) == read


def test_a_word_knows_where_it_stands() -> None:
    sentence = "order A one oh four two, please"
    assert [sentence[word.start : word.end] for word in words(sentence)] == ["order", "A", "one oh four two", "please"]
