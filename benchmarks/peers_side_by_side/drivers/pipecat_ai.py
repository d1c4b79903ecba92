"""pipecat-ai: a pipeline without a transport, its tool as a coroutine in this process.

Modes, all of them off by default: "async" registers the tool with `cancel_on_interruption=False`; "reset" calls
`reset_conversation()` at the pipeline's first error, which connects anew, and then asks for a response.
"""

from __future__ import annotations

import asyncio
from typing import Any

from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import InputAudioRawFrame, LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

from benchmarks.peers_side_by_side.drivers.orders import (
    DESCRIPTION,
    INSTRUCTIONS,
    NAME,
    PARAMETERS,
    RATE,
    SILENCE_MS,
    Talk,
    obey,
    work,
)


class Talking:
    """A running pipeline."""

    def __init__(self, task: Any, context: Any) -> None:
        self._task = task
        self._context = context
        self._running = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))

    async def ask(self, words: str) -> None:
        self._context.add_message({"role": "user", "content": words})
        await self._task.queue_frame(LLMRunFrame())

    async def hear(self, pcm: bytes) -> None:
        await self._task.queue_frame(InputAudioRawFrame(audio=pcm, sample_rate=RATE, num_channels=1))

    async def leave(self) -> None:
        await self._task.cancel()
        await self._running


async def _run(params: Any) -> None:
    await params.result_callback(await work(**params.arguments))


async def _connect(url: str, mode: str) -> Talk:
    heard = events.AudioInput(turn_detection=events.TurnDetection(silence_duration_ms=SILENCE_MS))
    properties = events.SessionProperties(
        output_modalities=["text"], instructions=INSTRUCTIONS, audio=events.AudioConfiguration(input=heard)
    )
    llm = OpenAIRealtimeLLMService(
        api_key="x",
        base_url=url,
        settings=OpenAIRealtimeLLMService.Settings(model="gpt-realtime", session_properties=properties),
    )
    options = {"cancel_on_interruption": False} if mode == "async" else {}
    llm.register_function(NAME, _run, **options)
    schema = FunctionSchema(name=NAME, description=DESCRIPTION, properties=PARAMETERS, required=list(PARAMETERS))
    context = LLMContext(tools=ToolsSchema(standard_tools=[schema]))
    pair = LLMContextAggregatorPair(context)
    task = PipelineTask(Pipeline([pair.user(), llm, pair.assistant()]))
    if mode == "reset":
        _reset_at_first_error(task, llm)
    return Talking(task, context)


def _reset_at_first_error(task: Any, llm: Any) -> None:
    errors = []

    async def on_error(_task: Any, frame: Any) -> None:
        errors.append(frame)
        if len(errors) == 1:
            await llm.reset_conversation()
            await task.queue_frame(LLMRunFrame())

    task.add_event_handler("on_pipeline_error", on_error)


if __name__ == "__main__":
    obey(_connect)
