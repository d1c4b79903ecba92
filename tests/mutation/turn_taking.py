"""The guards of who speaks next: the slot, the user, the credits of results, and the rules."""

from __future__ import annotations

from tests.mutation.mutant import gone

FOLDER = "gateway/conversation/turn_taking/"
SLOT, USER, RULES = FOLDER + "slot.py", FOLDER + "user.py", FOLDER + "rules.py"
LATE, CREDITS = FOLDER + "late_results.py", FOLDER + "credits.py"
SCHEDULER, PACING = FOLDER + "scheduler.py", FOLDER + "pacing.py"
CLIENTS, SPEAKING = "gateway/conversation/client/requests.py", "gateway/conversation/speaker.py"

TESTS = "tests/unit/gateway/conversation/"
TURNS = TESTS + "turn_taking/"
T_TURNS, T_QUESTIONS = TURNS + "test_turns_of_the_user.py", TESTS + "tool_calls/test_questions.py"
T_COLLISIONS, T_PLAIN = TURNS + "test_collisions.py", TURNS + "test_turn_taking.py"
T_LATE, T_HUSH = TURNS + "test_late_results.py", TURNS + "test_barge_in.py"
T_CLIENTS = TESTS + "tool_calls/test_client_tools.py"

TURN_TAKING = [
    gone(
        "one create: none while another is under way",
        TESTS + "turn_taking/test_slot.py",
        SLOT,
        "(Asked, CreateSent): None",
        "(Asked, CreateSent): _ask",
    ),
    gone(
        "a refused create's response is another's",
        TESTS + "turn_taking/test_slot.py",
        SLOT,
        "by=By.SERVER, create=None",
        "create=None",
    ),
    gone(
        "what is not sure is taken back",
        T_COLLISIONS,
        CREDITS,
        " and not call.credit.is_sure",
        " and False",
        "def refused(",
    ),
    gone("a held button is a turn", T_TURNS, USER, "if event.is_held else user", "if False else user"),
    gone("audio that keeps coming keeps the user speaking", T_TURNS, USER, "heard=event.at", "heard=user.heard"),
    gone(
        "a muted user is silent",
        T_TURNS,
        CLIENTS,
        "            self.scheduler.user_muted()\n",
        "            pass\n",
        "kind == CLEAR_AUDIO",
    ),
    gone(
        "the client has a moment to ask", T_TURNS, SCHEDULER, "until = now + ", "until = now + 0 * ", "def user_ended("
    ),
    gone("the user goes first", T_PLAIN, RULES, ", busy_until(scheduler.user), now)", ", now)"),
    gone(
        "a filler gives way to the client",
        T_TURNS,
        SCHEDULER,
        "if not (self.waiting and isinstance(slot, Active))",
        "if True",
        "def gives_way(",
    ),
    gone(
        "no filler while a result is untold", T_QUESTIONS, RULES, " or scheduler.calls.untold()", "", "def _aside_at("
    ),
    gone(
        "a question counts once it was heard",
        T_QUESTIONS,
        SCHEDULER,
        'status in ("cancelled", "incomplete")',
        "False",
    ),
    gone("a picture is no turn", T_QUESTIONS, CLIENTS, 'not kinds.isdisjoint(("input_text", "input_audio"))', "True"),
    gone("a response that failed has told no result", T_LATE, SCHEDULER, "was_said = not has_failed and", "was_said ="),
    gone("a failure has a pause that grows", T_LATE, PACING, "self._failures)", "0)"),
    gone("rate limits are waited for", T_LATE, PACING, ", self._limits_reset_at)", ", 0.0)", "def failed("),
    gone(
        "what the gateway has cancelled is untold",
        T_HUSH,
        SCHEDULER,
        "            self.slot = replace(active, is_cut=True)\n",
        "",
        "if active.by.is_ours and talks",
    ),
    gone("a model may use words when it tells a result", T_QUESTIONS, SPEAKING, "if self.client.must_call", "if False"),
    gone(
        "one create tells the client's result as well",
        T_CLIENTS,
        LATE,
        "return call.landed_at + CLIENT_ANSWERS_SECONDS",
        "return call.landed_at",
    ),
]
