"""What a caller hears while slow tools run, second by second: a conversation in one process, which takes no time.

    python -m examples.rehearse_my_slow_tools

It prints:

        0.0 s  user      Any flights to Bergen on the first of May?
        2.9 s  call      find_flights {"to": "Bergen", "on": "2027-05-01"}
        5.9 s  model     I'm still waiting on that.
        6.9 s  progress  find_flights: 1 of 3 airlines have answered
       10.9 s  progress  find_flights: 2 of 3 airlines have answered
       13.9 s  model     I am still at it: 2 of 3 airlines have answered.
       14.9 s  progress  find_flights: 3 of 3 airlines have answered
       14.9 s  result    find_flights {"P100": 100, "G200": 110, "S300": 120}
       16.8 s  model     The cheapest is P100, for 100 euros.
       19.0 s  user      Book the cheapest one, please.
       21.2 s  call      book_flight {"number": "P100"}
       22.2 s  model     May I do this: book_flight with {"number": "P100"}?
       25.3 s  user      Yes, do.
       26.1 s  call      answer_approval {"approved": true}
       26.1 s  result    answer_approval {"approved": "book_flight"}
       26.1 s  model     All right.
       28.1 s  model     I am booking it now.
       29.1 s  result    book_flight {"booked": "P100", "for": "ada"}
       29.3 s  model     P100 is booked.
"""

from __future__ import annotations

from examples.my_slow_tools import book_flight, find_flights
from ringback.testing import Talk, converse


def rehearse() -> Talk:
    """Three turns; after each of them the model calls what the list says."""
    return converse(
        "Any flights to Bergen on the first of May?",
        "Book the cheapest one, please.",
        "Yes, do.",
        tools=[find_flights, book_flight],
        calls=[
            {"find_flights": {"to": "Bergen", "on": "2027-05-01"}},
            {"book_flight": {"number": "P100"}},
            {"answer_approval": {"approved": True}},
        ],
        answers={"find_flights": "The cheapest is P100, for 100 euros.", "book_flight": "{booked} is booked."},
        user="ada",
    )


if __name__ == "__main__":
    print(rehearse())
