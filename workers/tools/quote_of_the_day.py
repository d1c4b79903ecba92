"""`quote_of_the_day`: the same words for every caller, all day long."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TypedDict

from ringback import tool

# All long in the public domain.
QUOTES = (
    ("The only way to have a friend is to be one.", "Ralph Waldo Emerson"),
    ("Brevity is the soul of wit.", "William Shakespeare"),
    ("Well begun is half done.", "Aristotle"),
    ("What we anticipate seldom occurs; what we least expected generally happens.", "Benjamin Disraeli"),
    ("He that can have patience can have what he will.", "Benjamin Franklin"),
    ("Adopt the pace of nature: her secret is patience.", "Ralph Waldo Emerson"),
    ("We suffer more often in imagination than in reality.", "Seneca"),
    ("I am not afraid of storms, for I am learning how to sail my ship.", "Louisa May Alcott"),
    ("The unexamined life is not worth living.", "Socrates"),
    ("Simplify, simplify.", "Henry David Thoreau"),
    ("No man ever steps in the same river twice.", "Heraclitus"),
    ("I can resist everything except temptation.", "Oscar Wilde"),
    ("Nothing great was ever achieved without enthusiasm.", "Ralph Waldo Emerson"),
    ("There is nothing either good or bad, but thinking makes it so.", "William Shakespeare"),
    ("There is no charm equal to tenderness of heart.", "Jane Austen"),
    ("Hope is the thing with feathers that perches in the soul.", "Emily Dickinson"),
    ("The journey of a thousand miles begins with a single step.", "Lao Tzu"),
    ("Fortune favours the bold.", "Virgil"),
    ("All that we see or seem is but a dream within a dream.", "Edgar Allan Poe"),
    ("A man's reach should exceed his grasp, or what's a heaven for?", "Robert Browning"),
)


class Quote(TypedDict):
    quote: str
    author: str


def quote_for(day: date) -> Quote:
    """Return the quote of that day; tomorrow's is the next one."""
    quote, author = QUOTES[day.toordinal() % len(QUOTES)]
    return {"quote": quote, "author": author}


@tool
def quote_of_the_day() -> Quote:
    """Give the quote of the day and who said it."""
    return quote_for(datetime.now(UTC).date())
