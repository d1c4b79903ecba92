// The same conversation as tests/clients/drivers/talking.py has it, over `@openai/agents-realtime`; prints one line of JSON.
//
//   node --experimental-websocket agents.mjs <base URL> <token> <speech> <what is heard of the parrot>
import fs from "node:fs";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from "@openai/agents-realtime";
import { z } from "zod";

const PATIENCE = 20_000;
const [base, token, speech, parrotSays] = process.argv.slice(2);
const url = `${base.replace("http", "ws")}/realtime?model=gpt-realtime`;
const told = { heard: {}, errors: [], parrot: [], audio_bytes: 0 };
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
let said = "";
let news = () => {};

const parrot = tool({
  name: "parrot",
  description: "Ask the parrot.",
  parameters: z.object({ word: z.string() }),
  execute: async ({ word }) => {
    told.parrot.push(word);
    return JSON.stringify({ said: `${word} squawk` });
  },
});

async function connect() {
  const agent = new RealtimeAgent({ name: "pirate", instructions: "You are a pirate.", tools: [parrot] });
  const transport = new OpenAIRealtimeWebSocket({ url, useInsecureApiKey: true });
  const session = new RealtimeSession(agent, { transport, model: "gpt-realtime" });
  session.on("error", (problem) => told.errors.push(JSON.stringify(problem?.error ?? String(problem)).slice(0, 500)));
  session.on("audio", (event) => (told.audio_bytes += event.data.byteLength));
  session.transport.on("*", (event) => {
    if (event.type === "response.output_audio_transcript.delta") {
      said += event.delta;
      news();
    }
  });
  await session.connect({ apiKey: token, url });
  return session;
}

async function step(name, words, act) {
  const begin = said.length;
  const giveUp = Date.now() + PATIENCE;
  await act();
  while (!said.slice(begin).includes(words)) {
    if (Date.now() > giveUp) {
      told.errors.push(`waited in vain for '${words}', and heard '${said.slice(begin)}'`);
      break;
    }
    await Promise.race([new Promise((resolve) => (news = resolve)), pause(PATIENCE)]);
  }
  told.heard[name] = said.slice(begin);
}

async function aloud(session) {
  const sound = Buffer.concat([fs.readFileSync(speech), Buffer.alloc(48_000)]);
  for (let start = 0; start < sound.length; start += 4_800) {
    const piece = sound.subarray(start, start + 4_800);
    session.sendAudio(piece.buffer.slice(piece.byteOffset, piece.byteOffset + piece.length));
    await pause(20);
  }
}

try {
  const session = await connect();
  await step("text", "12 degrees", async () => session.sendMessage("What is the weather in London UK?"));
  await step("parrot", parrotSays, async () => session.sendMessage("Ask the parrot."));
  await step("speech", "12 degrees", () => aloud(session));
  await step("story", "Once upon", async () => session.sendMessage("Tell me a story."));
  await step("interruption", "12 degrees", () => aloud(session));
  await step("story", "Once upon", async () => session.sendMessage("Tell me a story."));
  session.interrupt();
  await step("after", "B-2301", async () => session.sendMessage("Where is my order B-2301?"));
  session.close();
  const later = await connect();
  await step("again", "12 degrees", async () => later.sendMessage("What is the weather in London UK?"));
  later.close();
} catch (problem) {
  told.errors.push(String(problem));
}
console.log(JSON.stringify(told));
process.exit(0);
