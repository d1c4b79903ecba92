"""A plot without a library: horizontal bars as SVG, each with the least and the most of its turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from statistics import median

ROW, LABEL, PLOT, HEAD = 30, 210, 480, 44
"""Pixels: of a row, of its label, of the longest bar, above the first row."""
INK, BAR, OURS = "#24292f", "#a9b8c9", "#3b6ea8"


@dataclass(frozen=True)
class Bar:
    """One side's values, a value for each turn."""

    label: str
    values: Sequence[float]
    is_ours: bool = False


def draw(path: Path, title: str, bars: Sequence[Bar]) -> None:
    """Write the plot; a bar is as long as the median of its values."""
    bars = [bar for bar in bars if bar.values]
    most = max((max(bar.values) for bar in bars), default=0.0) or 1.0
    rows = "\n".join(_row(number, bar, PLOT / most) for number, bar in enumerate(bars))
    width, height = LABEL + PLOT + 90, HEAD + ROW * len(bars) + 10
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="13">\n<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        f'<text x="10" y="24" font-weight="bold" fill="{INK}">{escape(title)}</text>\n{rows}\n</svg>\n',
        encoding="utf-8",
    )


def _row(number: int, bar: Bar, scale: float) -> str:
    top, middle = HEAD + ROW * number, median(bar.values)
    low, high = (LABEL + scale * value for value in (min(bar.values), max(bar.values)))
    line, fill = top + ROW / 2 - 3, OURS if bar.is_ours else BAR
    return (
        f'<text x="{LABEL - 8}" y="{line + 5:.0f}" text-anchor="end" fill="{INK}">{escape(bar.label)}</text>'
        f'<rect x="{LABEL}" y="{top}" width="{scale * middle:.1f}" height="{ROW - 8}" fill="{fill}"/>'
        f'<line x1="{low:.1f}" y1="{line:.1f}" x2="{high:.1f}" y2="{line:.1f}" stroke="{INK}"/>'
        f'<text x="{high + 6:.1f}" y="{line + 5:.0f}" fill="{INK}">{middle:,.3g}</text>'
    )
