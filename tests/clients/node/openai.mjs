// `openai` for Node: a connection, and what a program does at each event.
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { ears, run } from "./talking.mjs";

const parameters = { type: "object", properties: { word: { type: "string" } }, required: ["word"] };
const parrot = { type: "function", name: "parrot", description: "Ask the parrot.", parameters };

await run(async (baseURL, apiKey) => {
  const realtime = new OpenAIRealtimeWS({ model: "gpt-realtime" }, new OpenAI({ apiKey, baseURL }));
  let itemId = "";
  let free = Promise.resolve();
  let ended = () => {};
  const create = (item) => realtime.send({ type: "conversation.item.create", item });
  realtime.on("error", (problem) => ears.error(problem.message));
  realtime.on("response.created", () => (free = new Promise((resolve) => (ended = resolve))));
  realtime.on("response.output_audio_transcript.delta", (event) => ears.words(event.delta));
  realtime.on("response.output_audio.delta", (event) => {
    itemId = event.item_id;
    ears.sound(Buffer.from(event.delta, "base64").length);
  });
  realtime.on("response.done", ({ response }) => {
    ended();
    const calls = response.output.filter((item) => item.type === "function_call");
    for (const { call_id, arguments: given } of calls) {
      create({ type: "function_call_output", call_id, output: ears.parrotSays(JSON.parse(given).word) });
    }
    if (calls.length) realtime.send({ type: "response.create" });
  });
  await new Promise((resolve) => realtime.on("session.created", resolve));
  const session = { type: "realtime", model: "gpt-realtime", instructions: "You are a pirate.", tools: [parrot] };
  realtime.send({ type: "session.update", session });
  return {
    async ask(text) {
      await free;
      create({ type: "message", role: "user", content: [{ type: "input_text", text }] });
      realtime.send({ type: "response.create" });
    },
    hear: (piece) => realtime.send({ type: "input_audio_buffer.append", audio: piece.toString("base64") }),
    interrupt() {
      realtime.send({ type: "response.cancel" });
      realtime.send({ type: "conversation.item.truncate", item_id: itemId, content_index: 0, audio_end_ms: 100.5 });
    },
    leave: () => realtime.close(),
  };
});
