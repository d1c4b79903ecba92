// `@openai/agents-realtime`: a session with an agent, instructions and a function of its own.
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from "@openai/agents-realtime";
import { z } from "zod";
import { ears, run } from "./talking.mjs";

const parrot = tool({
  name: "parrot",
  description: "Ask the parrot.",
  parameters: z.object({ word: z.string() }),
  execute: async ({ word }) => ears.parrotSays(word),
});

await run(async (base, token) => {
  const url = `${base.replace("http", "ws")}/realtime?model=gpt-realtime`;
  const agent = new RealtimeAgent({ name: "pirate", instructions: "You are a pirate.", tools: [parrot] });
  const transport = new OpenAIRealtimeWebSocket({ url, useInsecureApiKey: true });
  const session = new RealtimeSession(agent, { transport, model: "gpt-realtime" });
  session.on("error", (problem) => ears.error(JSON.stringify(problem?.error ?? String(problem))));
  session.on("audio", (event) => ears.sound(event.data.byteLength));
  session.transport.on("*", (event) => {
    if (event.type === "response.output_audio_transcript.delta") ears.words(event.delta);
  });
  await session.connect({ apiKey: token, url });
  return {
    ask: async (words) => session.sendMessage(words),
    hear: (piece) => session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length)),
    interrupt: () => session.interrupt(),
    leave: () => session.close(),
  };
});
