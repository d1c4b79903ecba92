"""`[session]` of an agent's file reaches the Realtime API, or one sentence says what is wrong in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ringback.agents.agent import Agent, load_agent
from ringback.agents.client_policy import BROWSER, TRUSTED
from ringback.errors import ConfigurationError

MINIMAL = 'instructions = "Be kind."\n'
MCP = '[[session.tools]]\ntype = "mcp"\nserver_label = "docs"\nserver_url = "https://docs.example/mcp"\n'
ALLOWED = f'{MCP}require_approval = "never"\n'
HEARD = "[session.audio.input]\n"


def agent(folder: Path, text: str) -> Agent:
    (folder / "demo.toml").write_text(MINIMAL + text, encoding="utf-8")
    return load_agent(folder / "demo.toml")


FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "reasoning": ('[session.reasoning]\neffort = "low"', {"reasoning": {"effort": "low"}}),
    "truncation as a word": ('[session]\ntruncation = "disabled"', {"truncation": "disabled"}),
    "truncation as a table": (
        '[session.truncation]\ntype = "retention_ratio"\nretention_ratio = 0.8\n'
        "token_limits = {post_instructions = 8000}",
        {
            "truncation": {
                "type": "retention_ratio",
                "retention_ratio": 0.8,
                "token_limits": {"post_instructions": 8000},
            }
        },
    ),
    "calls one at a time": ("[session]\nparallel_tool_calls = false", {"parallel_tool_calls": False}),
    "tracing as a word": ('[session]\ntracing = "auto"', {"tracing": "auto"}),
    "tracing as a table": (
        '[session.tracing]\nworkflow_name = "desk"\nmetadata = {shop = 7}',
        {"tracing": {"workflow_name": "desk", "metadata": {"shop": 7}}},
    ),
    "a bound of tokens": ("[session]\nmax_output_tokens = 4096", {"max_output_tokens": 4096}),
    "no bound of tokens": ('[session]\nmax_output_tokens = "inf"', {"max_output_tokens": "inf"}),
    "logprobs": (
        '[session]\ninclude = ["item.input_audio_transcription.logprobs"]',
        {"include": ["item.input_audio_transcription.logprobs"]},
    ),
    "a prompt": ('[session.prompt]\nid = "pmpt_1"\nversion = "2"', {"prompt": {"id": "pmpt_1", "version": "2"}}),
    "text": ('[session]\noutput_modalities = ["text"]', {"output_modalities": ["text"]}),
    "a field of the provider": (
        "[session.provider]\ntemperature = 0.7\n[session.provider.audio.input]\nlanguage_hint = 'de'",
        {
            "temperature": 0.7,
            "audio": {"input": {"turn_detection": {"type": "server_vad"}, "language_hint": "de"}},
        },
    ),
}


@pytest.mark.parametrize(("text", "sent"), FIELDS.values(), ids=FIELDS)
def test_a_field_of_the_session_goes_on_as_it_is_written(tmp_path: Path, text: str, sent: dict[str, Any]) -> None:
    assert agent(tmp_path, text).session([]) == agent(tmp_path, "").session([]) | sent


HEARING: dict[str, tuple[str, dict[str, Any]]] = {
    "G.711": ('format = {type = "audio/pcmu"}', {"format": {"type": "audio/pcmu"}}),
    "another rate": ('format = {type = "audio/pcm", rate = 16000}', {"format": {"type": "audio/pcm", "rate": 16000}}),
    "noise reduction": (
        'noise_reduction = {type = "far_field", strength = 0.5}',
        {"noise_reduction": {"type": "far_field", "strength": 0.5}},
    ),
    "noise reduction off": ("noise_reduction = {}", {"noise_reduction": None}),
    "transcription": (
        'transcription = {model = "gpt-transcribe", keywords = ["Hüsli"], languages = ["de"], prompt = "A bakery."}',
        {
            "transcription": {
                "model": "gpt-transcribe",
                "keywords": ["Hüsli"],
                "languages": ["de"],
                "prompt": "A bakery.",
            }
        },
    ),
    "transcription with a delay": (
        'transcription = {model = "gpt-realtime-whisper", delay = "high", language = "en"}',
        {"transcription": {"model": "gpt-realtime-whisper", "delay": "high", "language": "en"}},
    ),
    "transcription off": ("transcription = {}", {"transcription": None}),
    "turn detection off": ("turn_detection = {}", {"turn_detection": None}),
    "server_vad": (
        'turn_detection = {type = "server_vad", threshold = 0.4, idle_timeout_ms = 6000}',
        {"turn_detection": {"type": "server_vad", "threshold": 0.4, "idle_timeout_ms": 6000}},
    ),
    "semantic_vad": (
        'turn_detection = {type = "semantic_vad", eagerness = "low", interrupt_response = false}',
        {"turn_detection": {"type": "semantic_vad", "eagerness": "low", "interrupt_response": False}},
    ),
    "azure_semantic_vad": (
        'turn_detection = {type = "azure_semantic_vad", remove_filler_words = true}',
        {"turn_detection": {"type": "azure_semantic_vad", "remove_filler_words": True}},
    ),
}


@pytest.mark.parametrize(("text", "heard"), HEARING.values(), ids=HEARING)
def test_how_the_user_is_heard_goes_on_as_it_is_written(tmp_path: Path, text: str, heard: dict[str, Any]) -> None:
    sent = agent(tmp_path, HEARD + text).session([])["audio"]["input"]
    assert sent == {"turn_detection": {"type": "server_vad"}} | heard


@pytest.mark.parametrize("voice", ["marin", {"id": "voice_1"}])
def test_how_the_model_sounds_goes_on_as_it_is_written(tmp_path: Path, voice: str | dict[str, str]) -> None:
    written = '"marin"' if voice == "marin" else '{id = "voice_1"}'
    text = f'[session.audio.output]\nspeed = 1\nvoice = {written}\nformat = {{type = "audio/pcma"}}'
    sent = agent(tmp_path, text).session([])["audio"]["output"]
    assert sent == {"speed": 1, "voice": voice, "format": {"type": "audio/pcma"}}


def test_a_short_word_and_the_rest_of_its_table_go_together(tmp_path: Path) -> None:
    text = 'transcription_model = "gpt-transcribe"\n[session.audio.input.transcription]\nlanguages = ["de", "en"]'
    sent = agent(tmp_path, text).session([])["audio"]["input"]["transcription"]
    assert sent == {"model": "gpt-transcribe", "languages": ["de", "en"]}


@pytest.mark.parametrize(
    ("choice", "offered", "sent"),
    [
        ('"required"', [], "auto"),
        ('"required"', [{"name": "weather"}], "required"),
        ('{type = "function", name = "weather"}', [{"name": "weather"}], {"type": "function", "name": "weather"}),
        ('{type = "function", name = "weather"}', [{"name": "quote"}], "auto"),
        (
            '{type = "mcp", server_label = "docs"}',
            [{"type": "mcp", "server_label": "docs"}],
            {"type": "mcp", "server_label": "docs"},
        ),
    ],
)
@pytest.mark.parametrize("where", ["", "[session]\n"])
def test_a_choice_holds_among_what_is_offered_now(
    tmp_path: Path, where: str, choice: str, offered: list[dict[str, Any]], sent: object
) -> None:
    said = agent(tmp_path, f'tools = ["weather"]\n{where}tool_choice = {choice}\n{ALLOWED}')
    assert said.session(offered)["tool_choice"] == sent


def test_hosted_tools_and_the_providers_own_are_to_be_offered(tmp_path: Path) -> None:
    more = 'authorization_env = "DOCS_TOKEN"\nallowed_tools = ["search"]\n[[session.provider.tools]]\ntype = "x_search"'
    said = agent(tmp_path, f"{ALLOWED}{more}")
    assert said.hosted_tools == [
        {
            "type": "mcp",
            "server_label": "docs",
            "server_url": "https://docs.example/mcp",
            "require_approval": "never",
            "authorization_env": "DOCS_TOKEN",
            "allowed_tools": ["search"],
        },
        {"type": "x_search"},
    ]
    assert said.session(said.hosted_tools)["tools"] == said.hosted_tools


def test_an_agent_can_insist_on_transcription(tmp_path: Path) -> None:
    said = agent(tmp_path, 'require_transcription = true\ntranscription_model = "gpt-transcribe"')
    free = agent(tmp_path, 'transcription_model = "gpt-transcribe"')
    for trusted, preset in ((False, BROWSER), (True, TRUSTED)):
        assert free.policy(trusted=trusted) == preset
        missing = set(preset.session) - set(said.policy(trusted=trusted).session)
        assert missing == {"audio.input.transcription"}


WRONG = {
    'voice = "a"\n[session.audio.output]\nvoice = "b"': "voice and session.audio.output.voice mean the same: leave one",
    'transcription_model = "a"\n[session.audio.input.transcription]\nmodel = "a"': (
        "transcription_model and session.audio.input.transcription.model mean the same"
    ),
    'transcription_model = "a"\n[session.audio.input]\ntranscription = {}': (
        "transcription_model and an empty session.audio.input.transcription, which is off"
    ),
    'output_modalities = ["text"]\n[session]\noutput_modalities = ["text"]': "output_modalities and session.output_mod",
    'tool_choice = "auto"\n[session]\ntool_choice = "auto"': "tool_choice and session.tool_choice mean the same",
    "turn_detection = {}\n[session.audio.input]\nturn_detection = {}": "turn_detection and session.audio.input.turn_de",
    '[session]\ninstructions = "x"': "session.instructions: write `instructions` at the top of the file",
    '[session]\nconversation = "none"': "session.conversation: it belongs to a response",
    '[session]\ntype = "transcription"': "session.type: Input should be 'realtime'",
    '[session]\noutput_modalities = ["audio", "text"]': "session.output_modalities: List should have at most 1 item",
    '[session]\nmodell = "x"': "session.modell: is not known here",
    '[session.reasoning]\nefort = "low"': "session.reasoning.efort: is not known here: did you mean effort?",
    '[session.reasoning]\neffort = "huge"': "session.reasoning.effort: Input should be 'none', 'minimal', 'low'",
    '[session]\nreasoning = "low"': "session.reasoning: write a table, such as [session.reasoning]",
    'truncation = "auto"': "truncation: is not known here: did you mean session.truncation?",
    '[session]\ntruncation = "never"': "session.truncation: Input should be 'auto' or 'disabled'",
    "[session.truncation]\nretention_ratio = 0.8": "session.truncation.type: is missing",
    '[session]\nparallel_tool_calls = "yes"': "session.parallel_tool_calls: Input should be a valid boolean",
    "[session]\nmax_output_tokens = 0": "session.max_output_tokens: Input should be greater than or equal to 1",
    "session = 3": "session: write a table, such as [session]",
    HEARD + 'format = {type = "audio/pcmu", rate = 8000}': "session.audio.input.format: G.711 always has 8,000 Hz",
    HEARD + 'transcription = {language = "de"}': "session.audio.input.transcription.model: is missing",
    HEARD + 'turn_detection = {type = "sever_vad"}': "session.audio.input.turn_detection: write a table with a `type`",
    'turn_detection = {type = "server_vad", eagerness = "low"}': (
        "turn_detection.eagerness: is not known here with this `type`; another has it"
    ),
    'turn_detection = {type = "server_vad", idle_timeout_ms = 6000, create_response = false}': (
        "turn_detection: idle_timeout_ms has the Realtime API speak by itself, and create_response = false forbids it"
    ),
    "require_transcription = true": "require_transcription: name a model in session.audio.input.transcription.model",
    'tool_choice = {type = "function", name = "look"}': "tool_choice names look, which is none of `tools`: add it",
    'tool_choice = {type = "mcp", server_label = "x"}': "tool_choice names x, which is no server_label in [[session",
    'tool_choice = {name = "look"}': 'tool_choice: write a table with a `type`: "function" and a `name`',
    '[[session.tools]]\ntype = "function"\nname = "look"': "session.tools[0].type: a function is a worker's: name it",
    '[[session.tools]]\ntype = "web_search"': 'session.tools[0].type: the Realtime API has tools of the type "mcp"',
    '[session.tools]\ntype = "mcp"': "session.tools: write a list of tables: [[session.tools]]",
    MCP: "session.tools[0].require_approval: a hosted tool cannot wait for a user's yes here: write require_approval",
    f'{MCP}require_approval = "always"': "session.tools[0].require_approval: a hosted tool cannot wait",
    f"{MCP}require_approval = {{never = {{read_only = true}}}}": "session.tools[0].require_approval: a hosted tool",
    f'{ALLOWED}authorization = "sk-1"': "session.tools[0].authorization: a file that is checked in holds no secret",
    f'{ALLOWED}tunnel_id = "t"': "session.tools[0]: write one of server_url, connector_id and tunnel_id",
    ALLOWED + ALLOWED: "session.tools: give each server a server_label of its own",
    '[session.provider]\ninstructions = "x"': "session.provider.instructions: the gateway relies on it",
    "[session.provider]\naudio = 3": "session.provider.audio: write tables, such as [session.provider.audio.input]",
    "[session.provider.audio]\ninput = 3": "session.provider.audio: write tables",
    HEARD
    + "noise_reduction = {strength = inf}": "session.audio.input.noise_reduction.strength: Input should be a finite",
    '[session.provider]\ntools = ["web_search"]': "session.provider.tools: write tables with a `type`",
    '[[session.provider.tools]]\ntype = "function"': "session.provider.tools: functions are workers'",
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.items(), ids=WRONG.values())
def test_what_is_wrong_is_one_sentence_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        agent(tmp_path, text)
    said = str(raised.value)
    assert said.startswith(f"{tmp_path / 'demo.toml'}: {sentence}"), said
    assert "\n" not in said
    assert "sk-1" not in said
