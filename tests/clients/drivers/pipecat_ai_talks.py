"""pipecat-ai: a pipeline without a transport, with instructions and a function of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

from tests.clients.drivers.talking import INSTRUCTIONS, Ears, Talk, run


class Listening(FrameProcessor):  # type: ignore[misc] # not installed where this is checked
    """Stands behind the model in the pipeline."""

    def __init__(self, ears: Ears) -> None:
        super().__init__()
        self._ears = ears

    async def process_frame(self, frame: Any, direction: Any) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self._ears.audio_bytes += len(frame.audio)
        elif isinstance(frame, TTSTextFrame):
            self._ears.words(frame.text)
        elif isinstance(frame, LLMFullResponseStartFrame):
            self._ears.is_free.clear()
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._ears.is_free.set()
        await self.push_frame(frame, direction)


class Talking:
    """A running pipeline."""

    def __init__(self, task: Any, context: Any, llm: Any, ears: Ears) -> None:
        self._task, self._context, self._llm, self._ears = task, context, llm, ears
        self._has_begun = False

    async def ask(self, words: str) -> None:
        """The first words are the context's; what is added to it later the framework sends with speech alone."""
        if not self._has_begun:
            self._has_begun = True
            self._context.add_message({"role": "user", "content": words})
            await self._task.queue_frame(LLMRunFrame())
            return
        await self._ears.is_free.wait()
        content = [events.ItemContent(type="input_text", text=words)]
        item = events.ConversationItem(type="message", role="user", content=content)
        await self._llm.send_client_event(events.ConversationItemCreateEvent(item=item))
        await self._llm.send_client_event(events.ResponseCreateEvent())

    async def hear(self, pcm: bytes) -> None:
        await self._task.queue_frame(InputAudioRawFrame(audio=pcm, sample_rate=24_000, num_channels=1))

    async def interrupt(self) -> None:
        await self._llm.send_client_event(events.ResponseCancelEvent())


@asynccontextmanager
async def connect(base: str, token: str, ears: Ears) -> AsyncIterator[Talk]:
    async def parrot(params: Any) -> None:
        await params.result_callback(await ears.parrot_says(**params.arguments))

    properties = events.SessionProperties(instructions=INSTRUCTIONS)
    llm = OpenAIRealtimeLLMService(
        api_key=token,
        base_url=f"{base.replace('http', 'ws', 1)}/realtime",
        settings=OpenAIRealtimeLLMService.Settings(model="gpt-realtime", session_properties=properties),
    )
    llm.register_function("parrot", parrot)
    word = {"word": {"type": "string"}}
    schema = FunctionSchema(name="parrot", description="Ask the parrot.", properties=word, required=["word"])
    context = LLMContext(tools=ToolsSchema(standard_tools=[schema]))
    pair = LLMContextAggregatorPair(context)
    task = PipelineTask(Pipeline([pair.user(), llm, Listening(ears), pair.assistant()]))

    async def on_error(_task: Any, frame: ErrorFrame) -> None:
        ears.error(frame.error)

    task.add_event_handler("on_pipeline_error", on_error)
    running = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))
    yield Talking(task, context, llm, ears)
    await task.cancel()
    await running


if __name__ == "__main__":
    run(connect)
