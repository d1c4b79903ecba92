"""The guards of what a row says that the user has heard."""

from __future__ import annotations

from tests.mutation.mutant import gone

DELIVERIES, ITEMS = "ringback/statements/jobs/deliveries.py", "ringback/statements/sessions/items.py"
MOMENTS = "ringback/statements/sessions/moments.py"
T_HEARD = "tests/integration/statements/test_heard.py"
OURS, ANY_EPOCH = "is_ours(session_id, gateway_id, epoch)", "is_ours(session_id, gateway_id, sessions.c.epoch)"

HEARD = [
    gone(
        "only what a conversation was given is heard",
        T_HEARD,
        DELIVERIES,
        "            jobs.c.delivery.in_(IN_A_CONVERSATION),\n",
    ),
    gone("the epoch, in note_told", T_HEARD, DELIVERIES, OURS, ANY_EPOCH, "def _held("),
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
    gone("the epoch, in moments", T_HEARD, MOMENTS, OURS, ANY_EPOCH),
]
