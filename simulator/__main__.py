"""``python -m simulator``: serves a scenario until a signal comes."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from simulator.behavior import SIMPLE, KnobError, Knobs
from simulator.scripting.scenario import ScenarioError, load, shipped
from simulator.server.server import NO_SPEECH, Control, Simulator, real_speech, serve_until_told
from simulator.speech.ears import BEST, NAMES, EarsError

_CALLERS = ("phone", "twilio")
# Wrong input: the convention of command lines.
_USAGE_ERROR = 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ringback simulator",
        description="A Realtime API without a key: it hears, speaks and calls functions from a script.",
        epilog=f"Shipped scenarios: {', '.join(shipped())}. `ringback simulator phone` and `… twilio` are callers.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--scenario", default="demo", metavar="NAME|FILE", help="the scenario (default: %(default)s)")
    parser.add_argument("--key", help="refuse connections that do not carry this key with 401")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write every frame as a line of JSON")
    parser.add_argument(
        "--knob",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a knob, such as item_echo=renamed; may be given more than once (docs/scenarios.md lists them)",
    )
    parser.add_argument(
        "--control", action="store_true", help="for tests: faults on demand at /control, from this machine only"
    )
    parser.add_argument(
        "--ears",
        choices=NAMES,
        default=BEST,
        help="what hears: whisper (the extra `ears`) hears people, sphinx (the extra `voice`) takes less memory, none "
        "identifies spoken turns by their number (default: the first of them that is installed)",
    )
    parser.add_argument(
        "--media",
        choices=("webrtc", "none"),
        default="webrtc",
        help="how POST /v1/realtime/calls is answered: with sound (the extra `webrtc`), or by an SDP that connects "
        "nothing (default: %(default)s)",
    )
    parser.add_argument("--no-voice", action="store_true", help="neither hear nor speak: numbered turns, a chime")
    return parser


def _knobs(given: Sequence[str]) -> dict[str, str]:
    """Parse ``NAME=VALUE`` texts, and check them; raise KnobError if one is invalid."""
    knobs = dict(each.partition("=")[::2] for each in given)
    for name in sorted(knobs.keys() - SIMPLE):
        raise KnobError(f"--knob {name}: there is no such knob; there are {', '.join(sorted(SIMPLE))}.")
    try:
        Knobs().turned(knobs)
    except KnobError as problem:
        raise KnobError(f"--knob {problem}.") from None
    return knobs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator, or a caller, and return the exit code: 0 after a signal, 2 for wrong input."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words and words[0] in _CALLERS:
        from simulator.callers import command

        return command.main(words[0], words[1:])
    options = _parser().parse_args(words)
    try:
        knobs = _knobs(options.knob)
        simulator = Simulator(
            scenario=load(options.scenario),
            knobs=knobs,
            host=options.host,
            port=options.port,
            key=options.key,
            record=options.record,
            speech=NO_SPEECH if options.no_voice else real_speech(options.ears),
            control=Control() if options.control else None,
            media=options.media,
        )
        asyncio.run(serve_until_told(simulator))
    except (ScenarioError, KnobError, EarsError, OSError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return _USAGE_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main())
