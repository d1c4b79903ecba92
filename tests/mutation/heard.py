"""The guards of what a row says that the user has heard."""

from __future__ import annotations

from tests.mutation.mutant import gone

DELIVERIES, ITEMS = "ringback/statements/jobs/deliveries.py", "ringback/statements/sessions/items.py"
MOMENTS = "ringback/statements/sessions/moments.py"
T_HEARD = "tests/integration/statements/test_heard.py"
SESSIONS = "ringback/statements/sessions/lifecycle.py"
OURS = "is_ours(claimed.c.id, gateway_id, claimed.c.epoch)"
ANY_EPOCH = "is_ours(claimed.c.id, gateway_id, sessions.c.epoch)"
T_GATHERED = "tests/integration/statements/test_gathered.py"

HEARD = [
    gone(
        "only what a conversation was given is heard",
        T_HEARD,
        DELIVERIES,
        "            jobs.c.delivery.in_(IN_A_CONVERSATION),\n",
    ),
    gone("the epoch, in moments and note_told", T_HEARD, SESSIONS, OURS, ANY_EPOCH),
    gone("the epoch, in what sessions write together", T_GATHERED, SESSIONS, OURS, ANY_EPOCH),
    gone(
        "messages go into their own session",
        T_GATHERED,
        ITEMS,
        "mine.c.id == said.c.session_id",
        "mine.c.id == mine.c.id",
    ),
    gone(
        "moments go into their own session",
        T_GATHERED,
        MOMENTS,
        "mine.c.id == happened.c.session_id",
        "mine.c.id == mine.c.id",
    ),
    gone(
        "a session says of its own results alone that they were heard",
        T_GATHERED,
        DELIVERIES,
        "jobs.c.session_id.is_not_distinct_from(mine.c.id),  # As in",
        "jobs.c.session_id.is_not(None),  # As in",
    ),
    gone("what was heard is not told anew by another answer", T_HEARD, DELIVERIES, "and_(~is_over, ", "and_("),
    gone("what was heard stays heard", T_HEARD, DELIVERIES, ", before.c.was_heard)\n", ")\n"),
    gone(
        "an older answer takes no newer one's place",
        T_HEARD,
        DELIVERIES,
        "jobs.c.answer_began_at < began_at",
        "jobs.c.answer_began_at.is_not(None)",
    ),
    gone("a result is heard for the first time once", T_HEARD, DELIVERIES, ", ~before.c.was_heard)", ")"),
    gone(
        "what was heard is not replayed",
        T_HEARD,
        ITEMS,
        "(finished.c.delivery.in_(TOLD), finished.c.delivery)",
        "(finished.c.delivery.in_(()), finished.c.delivery)",
    ),
]
