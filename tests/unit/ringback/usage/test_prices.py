"""Usage of a response, and its price."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import ConfigurationError
from ringback.usage.prices import MAX_TOKENS, Prices, Usage, load_prices

SPOKEN: dict[str, Any] = {
    "total_tokens": 821,
    "input_tokens": 789,
    "output_tokens": 32,
    "input_token_details": {
        "text_tokens": 313,
        "audio_tokens": 476,
        "image_tokens": 0,
        "cached_tokens": 640,
        "cached_tokens_details": {"text_tokens": 256, "audio_tokens": 384, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 9, "audio_tokens": 23},
}
TABLE = """
[models.spoken]
text = { input = 4, cached_input = 0.4, output = 16 }
audio = { input = 32, cached_input = 0.4, output = 64 }
image = { input = 5, cached_input = 0.5 }

[models.typed]
text = { input = 1, output = 2 }
"""


def prices(folder: Path, text: str = TABLE) -> Prices:
    path = folder / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return load_prices(path)


USAGES: tuple[tuple[str, Any, Usage], ...] = (
    (
        "cached tokens are among their kind, and are taken out of it",
        SPOKEN,
        Usage(text_in=57, audio_in=92, text_cached=256, audio_cached=384, text_out=9, audio_out=23),
    ),
    (
        "images are a kind of their own",
        {"input_tokens": 30, "input_token_details": {"image_tokens": 20, "text_tokens": 10}},
        Usage(text_in=10, image_in=20),
    ),
    (
        "without the kinds of what was cached, text was cached first, then images, then audio",
        {"input_token_details": {"text_tokens": 10, "audio_tokens": 10, "image_tokens": 10, "cached_tokens": 25}},
        Usage(text_cached=10, image_cached=10, audio_cached=5, audio_in=5),
    ),
    (
        "more cached than there was is no more than there was",
        {"input_token_details": {"text_tokens": 10, "cached_tokens_details": {"text_tokens": 11, "audio_tokens": 5}}},
        Usage(text_cached=10),
    ),
    (
        "tokens of no kind count as the dearest",
        {"input_tokens": 10, "output_tokens": 5, "output_token_details": {"text_tokens": 2}},
        Usage(audio_in=10, text_out=2, audio_out=3),
    ),
    (
        "a total of more than its parts says what they leave out",
        {"total_tokens": 9, "input_tokens": 4},
        Usage(audio_in=4, audio_out=5),
    ),
    (
        "a number is one however it is written",
        {"input_tokens": 3.0, "output_tokens": float("inf")},
        Usage(audio_in=3, audio_out=MAX_TOKENS),
    ),
    ("nothing was used", {}, Usage()),
    ("what is no number is none", {"input_tokens": "10", "output_tokens": True}, Usage()),
    ("nothing is given back", {"input_tokens": -10, "input_token_details": {"text_tokens": -1}}, Usage()),
    ("details that are no table are none", {"input_tokens": 3, "input_token_details": [1]}, Usage(audio_in=3)),
    ("a number without end ends", {"output_tokens": 10**30}, Usage(audio_out=MAX_TOKENS)),
)


@pytest.mark.parametrize(("usage", "counted"), [each[1:] for each in USAGES], ids=[each[0] for each in USAGES])
def test_a_usage_is_counted_by_kind(usage: Any, counted: Usage) -> None:
    assert Usage.of(usage) == counted


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.dictionaries(
            st.sampled_from([*SPOKEN, "text_tokens", "audio_tokens", "image_tokens", "cached_tokens_details"]), inner
        ),
        max_leaves=20,
    )
)
def test_whatever_a_usage_says_its_tokens_are_counted_and_none_is_negative(usage: Any) -> None:
    counted = Usage.of(usage if isinstance(usage, dict) else {})
    assert all(tokens >= 0 for tokens in counted.as_json().values())
    assert counted.input_tokens <= 4 * MAX_TOKENS


def test_a_response_costs_what_each_kind_of_token_costs(tmp_path: Path) -> None:
    # 57 × 4 + 92 × 32 + 640 × 0.4 + 9 × 16 + 23 × 64
    assert prices(tmp_path).micros("spoken", Usage.of(SPOKEN)) == 228 + 2944 + 256 + 144 + 1472


def test_part_of_a_millionth_of_a_dollar_is_a_whole_one(tmp_path: Path) -> None:
    assert prices(tmp_path).micros("spoken", Usage(text_cached=1)) == 1
    assert prices(tmp_path).micros("spoken", Usage(text_cached=5)) == 2


def test_a_kind_without_a_price_costs_what_text_does(tmp_path: Path) -> None:
    table = prices(tmp_path)
    assert table.micros("typed", Usage(audio_in=3, image_cached=4, audio_out=5)) == 3 + 4 + 10


def test_a_snapshot_costs_what_its_model_does(tmp_path: Path) -> None:
    assert prices(tmp_path).micros("typed-2026-01-31", Usage(text_in=2)) == 2


@pytest.mark.parametrize("model", ["unknown", "typed-2026", "typed-2026-01-31-x", ""])
def test_a_model_that_is_not_there_costs_nobody_knows_what(tmp_path: Path, model: str) -> None:
    assert prices(tmp_path).micros(model, Usage(text_in=2)) is None


def test_the_operators_own_prices_win(tmp_path: Path) -> None:
    own = Prices.model_validate({"models": {"typed": {"text": {"input": 7}}}})
    both = prices(tmp_path).under(own)
    assert both.micros("typed", Usage(text_in=1)) == 7
    assert both.micros("spoken", Usage(text_in=1)) == 4


WRONG = (
    ("models = 1", "models: Input should be"),
    ("[models.a]", "models.a.text: Field required"),
    ("[models.a]\ntext = { input = -1 }", "models.a.text.input: Input should be greater than or equal to 0"),
    ("[models.a]\ntext = { in = 1 }", "models.a.text.in: Extra inputs are not permitted"),
    ("[models.a]\ntext = { input = nan }", "models.a.text.input: "),
    ("models.a.text", "is not TOML: "),
)


@pytest.mark.parametrize(("text", "complaint"), WRONG)
def test_a_table_that_is_wrong_is_refused_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        prices(tmp_path, text)
    assert complaint in str(refusal.value)
    assert "prices.toml" in str(refusal.value)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load_prices(tmp_path / "none.toml")
