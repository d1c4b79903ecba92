"""Guards of recordings: whose voice is kept, where it lies, and who may hear it."""

from __future__ import annotations

from tests.mutation.mutant import Mutant, gone

PLACING, ROWS = "gateway/session/recording/placing.py", "ringback/statements/recordings.py"
RETENTION = "ringback/statements/retention.py"
T_PLACING = "tests/unit/gateway/session/recording/test_placing.py"
T_ROWS = "tests/integration/statements/test_recordings.py"
T_VOICES = "tests/guarantees/test_both_voices_are_recorded.py"

RECORDED_VOICES: list[Mutant] = [
    gone(
        "only an agent that asks for it is recorded",
        T_VOICES,
        "gateway/session/context.py",
        "Recording(self.began_at) if self.agent.recording else None",
        "Recording(self.began_at)",
    ),
    gone(
        "the scope that opens a recording",
        T_VOICES,
        "gateway/api/dependencies.py",
        "Depends(needs(RECORDINGS))",
        "Depends(needs(HISTORY))",
    ),
    gone(
        "who listens is noted",
        T_VOICES,
        "gateway/api/recordings.py",
        "await gateway.store.count(recordings.note_listener(listener, session_id))",
        "_ = recordings.note_listener(listener, session_id)",
    ),
    gone(
        "a session that is to be erased keeps no more voices",
        T_ROWS,
        ROWS,
        ", sessions.c.end_wanted.is_distinct_from(ERASED)",
    ),
    gone("the tenant of a recording", T_ROWS, ROWS, "(recordings.c.tenant == tenant) & "),
    gone(
        "a session stays until its recording is deleted",
        T_ROWS,
        RETENTION,
        "which.where(~recordings.is_recorded())",
        "which",
    ),
    gone(
        "what was not played when the caller began to speak is cut",
        T_PLACING,
        PLACING,
        "run.cut(now_ms) for run in runs",
        "b'' for run in runs",
    ),
    gone("the client's word of what it played", T_PLACING, PLACING, "        self._silenced = item_id\n"),
    gone("a burst moves back no further than to what was there", T_PLACING, PLACING, "max(run.floor_ms, ", "max(0, "),
    gone(
        "the model's audio is held until a truncate can come",
        T_PLACING,
        PLACING,
        "now_ms if leaving else now_ms - HOLD_MS",
        "now_ms",
    ),
    gone("what has no room is told", T_PLACING, PLACING, "            self._losses[voice] = first, begin + length\n"),
]
