"""Make the pictures of the README: `make pictures` runs the page for real, kills both processes, and looks on.

Writes into docs/pictures: `talk.png` and `talk-phone.png` as they are then, and `talk.gif`, the recording; then those
of the console (`console_pictures`).
"""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
from av.filter import Graph
from playwright.sync_api import Page, ViewportSize

from tests.browser import console_pictures
from tests.browser.conftest import launched
from tests.browser.stack_of_ones_own import PATIENCE_MS, Tab, opened, running_up

PICTURES = Path(__file__).parents[2] / "docs/pictures"
SIZE = ViewportSize(width=1080, height=760)
PHONE = ViewportSize(width=390, height=844)
FASTER = 2
"""How many times faster than it happened the recording plays."""
FRAMES_A_SECOND = 5
LAST_SECONDS = 3
"""How long the recording rests on its last frame."""


class Recording:
    """What a page showed, as JPEGs with their times in seconds."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, bytes]] = []

    @contextmanager
    def of(self, page: Page) -> Iterator[None]:
        """Record the page for the duration of the block."""
        session = page.context.new_cdp_session(page)

        def take(frame: dict[str, Any]) -> None:
            self.frames.append((frame["metadata"]["timestamp"], base64.b64decode(frame["data"])))
            session.send("Page.screencastFrameAck", {"sessionId": frame["sessionId"]})

        session.on("Page.screencastFrame", take)
        session.send("Page.startScreencast", {"format": "jpeg", "quality": 90})
        yield
        session.send("Page.stopScreencast")

    def even(self) -> Iterator[bytes]:
        """Yield the frame that was shown at each moment of the recording."""
        (began, _), (ended, last) = self.frames[0], self.frames[-1]
        step = FASTER / FRAMES_A_SECOND
        shown = iter(self.frames)
        frame, following = self.frames[0][1], next(shown, None)
        for index in range(int((ended - began) / step)):
            while following and following[0] <= began + index * step:
                frame, following = following[1], next(shown, None)
            yield frame
        yield from [last] * (LAST_SECONDS * FRAMES_A_SECOND)

    def write(self, path: Path) -> None:
        """Write it as a GIF with a palette of its own."""
        pictures = [av.VideoFrame.from_ndarray(_pixels(frame), format="rgb24") for frame in self.even()]
        graph = Graph()
        rate = Fraction(1, FRAMES_A_SECOND)
        first = pictures[0]
        source = graph.add_buffer(
            width=first.width, height=first.height, format=av.VideoFormat("rgb24"), time_base=rate
        )
        split, palette, use = (
            graph.add("split"),
            graph.add("palettegen", "max_colors=96"),
            graph.add("paletteuse", "dither=none:diff_mode=rectangle"),
        )
        sink = graph.add("buffersink")
        source.link_to(split)
        split.link_to(palette, 0)
        split.link_to(use, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        with av.open(str(path), "w", format="gif") as file:
            stream = file.add_stream("gif", rate=FRAMES_A_SECOND)
            stream.width, stream.height, stream.pix_fmt = first.width, first.height, "pal8"
            for number, picture in enumerate(pictures):
                picture.pts, picture.time_base = number, rate
                graph.vpush(picture)
            graph.vpush(None)
            for _ in pictures:
                file.mux(stream.encode(graph.vpull()))
            file.mux(stream.encode(None))


def _pixels(jpeg: bytes) -> Any:
    with av.open(BytesIO(jpeg), "r", format="jpeg_pipe") as file:
        return next(file.decode(video=0)).to_ndarray(format="rgb24")


def act(tab: Tab, recording: Recording) -> None:
    """Record it: ask for two orders; kill the worker during the first, the gateway during the second."""
    with recording.of(tab.page):
        tab.page.get_by_role("button", name="Where is my order?").click(timeout=PATIENCE_MS)
        tab.wait_for_call(re.compile("^running"))
        tab.page.get_by_role("button", name="Kill the worker").click()
        tab.wait_for_call("heard (attempt 2)")
        tab.ask("Where is my order B-2301?")
        tab.wait_for_call(re.compile("^running"))
        tab.page.get_by_role("button", name="Kill the gateway").click()
        tab.wait_for_call("heard")


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    recording = Recording()
    with running_up() as up, launched() as browser:
        with_page = opened(browser, up.link, viewport=SIZE)
        with with_page as tab:
            act(tab, recording)
            tab.page.screenshot(path=PICTURES / "talk.png", full_page=True)
            tab.page.set_viewport_size(PHONE)
            tab.page.emulate_media(color_scheme="dark")
            tab.page.evaluate("scrollTo(0, 0)")
            tab.page.screenshot(path=PICTURES / "talk-phone.png")
    recording.write(PICTURES / "talk.gif")
    with tempfile.TemporaryDirectory() as folder:
        agents = console_pictures.recorded_agents(Path(folder))
        with running_up(RINGBACK_AGENTS=str(agents)) as up:
            console_pictures.take(up, Path(folder), PICTURES)


if __name__ == "__main__":
    main()
