// The conversation of tests/clients/drivers/talking.py, for programs that Node runs. One prints one line of JSON.
//
//   node --experimental-websocket agents.mjs|openai.mjs <base URL> <token> <speech> <what is heard of the parrot>
import fs from "node:fs";

const PATIENCE = 20_000;
const [base, token, speech, parrotSays] = process.argv.slice(2);
const told = { heard: {}, errors: [], parrot: [], audio_bytes: 0 };
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
let said = "";
let news = () => {};

export const ears = {
  words(text) {
    said += text;
    news();
  },
  sound: (bytes) => (told.audio_bytes += bytes),
  error: (problem) => told.errors.push(String(problem).slice(0, 500)),
  parrotSays(word) {
    told.parrot.push(word);
    return JSON.stringify({ said: `${word} squawk` });
  },
};

async function step(name, words, act) {
  const begin = said.length;
  const giveUp = Date.now() + PATIENCE;
  await act();
  while (!said.slice(begin).includes(words)) {
    if (Date.now() > giveUp) {
      ears.error(`waited in vain for '${words}', and heard '${said.slice(begin)}'`);
      break;
    }
    await Promise.race([new Promise((resolve) => (news = resolve)), pause(PATIENCE)]);
  }
  told.heard[name] = said.slice(begin);
}

async function aloud(talk) {
  const sound = Buffer.concat([fs.readFileSync(speech), Buffer.alloc(48_000)]);
  for (let start = 0; start < sound.length; start += 4_800) {
    talk.hear(sound.subarray(start, start + 4_800));
    await pause(20);
  }
}

// `connect(base, token)` gives a talk, which can `ask`, `hear`, `interrupt` and `leave`.
export async function run(connect) {
  try {
    const talk = await connect(base, token);
    await step("text", "12 degrees", () => talk.ask("What is the weather in London UK?"));
    await step("parrot", parrotSays, () => talk.ask("Ask the parrot."));
    await step("speech", "12 degrees", () => aloud(talk));
    await step("story", "Once upon", () => talk.ask("Tell me a story."));
    await step("interruption", "12 degrees", () => aloud(talk));
    await step("story", "Once upon", () => talk.ask("Tell me a story."));
    talk.interrupt();
    await step("after", "B-2301", () => talk.ask("Where is my order B-2301?"));
    talk.leave();
    const later = await connect(base, token);
    await step("again", "12 degrees", () => later.ask("What is the weather in London UK?"));
    later.leave();
  } catch (problem) {
    ears.error(problem);
  }
  console.log(JSON.stringify(told));
  process.exit(0);
}
