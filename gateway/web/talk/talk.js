// The page that talks: what a person presses, types and says, joined to the connection, the sound and the lists.

import { Audio, fromBase64, toBase64 } from "./audio.js";
import { Call } from "./call.js";
import { Calls } from "./calls.js";
import { Connection } from "./connection.js";
import { Demo } from "./demo.js";
import { Moments } from "./moments.js";
import { AWAY, NO_SECRET, NO_TOOLS, SLOW } from "./sentences.js";
import { Transcript } from "./transcript.js";

const LOOK_MS = 500; // between two looks at the processes and calls of a demo
const REPORT_MS = 1_000; // so much is played between two words to the gateway about it
const SLOW_MS = 8_000; // after which a page that still connects says so
const WATCH_MS = 20_000; // how long after a kill the page looks, also without a call

const here = (id) => document.getElementById(id);
const moments = new Moments(here("moments"));
const transcript = new Transcript(here("transcript"), here("nothing-said"));
const calls = new Calls(here("calls"), here("no-calls"), moments);
const audio = new Audio({ heard: sendAudio, played, gone: withoutMicrophone });
const socket = new Connection({ event: receive, state: connectionIs });
const call = new Call({ event: receive, state: connectionIs });
let connection = socket; // or the call, as the person chose

let demo = null;
let secret = null;
let notice = Promise.resolve(); // until it is known, and shown, whether the talk is recorded
let lastMoment = 0;
let watchUntil = 0;
let slow = null; // the timer that says so
let waitingWords = []; // typed before the connection was open
let active = false; // a response is under way
const untold = new Set(); // jobs whose results no response has told yet
const telling = new Map(); // response id → the jobs that it tells
const responseOf = new Map(); // item id → response id
const calledOver = new Map(); // call id → function, of what the call itself shows
let reported = { item: null, ms: 0 }; // what the gateway was told last of what was played
const cutOff = new Set(); // items that the user has interrupted

// ---------------------------------------------------------------- what a person does

here("talk").addEventListener("click", async () => {
  if (connection.isWanted && audio.isListening) return hangUp();
  showProblem("");
  try {
    audio.open().catch(() => {}); // within the tap, or the page stays mute on a phone; what fails is told by `listen`
    await notice;
    await audio.listen();
  } catch (problem) {
    return showProblem(problem.message);
  }
  call.hear(audio.stream);
  if (connection.isOpen) connectionIs("open", "");
  return join();
});

here("typing").addEventListener("submit", (event) => {
  event.preventDefault();
  const words = here("words").value.trim();
  if (words) say(words);
  here("words").value = "";
});

here("admission").addEventListener("submit", (event) => {
  event.preventDefault();
  secret = here("secret").value.trim() || null;
  here("secret").value = "";
  showProblem(secret ? "" : NO_SECRET);
  if (secret) showState("Press Talk, or type.");
  tellIfRecorded();
});

here("way").addEventListener("change", () => {
  if (connection.isWanted) hangUp();
  connection = here("way").value === "webrtc" ? call : socket;
  tellIfRecorded();
});

here("agent").addEventListener("change", () => {
  if (connection.isWanted) hangUp();
  suggest();
  tellIfRecorded();
});

for (const process of ["worker", "gateway"]) {
  here(`kill-${process}`).addEventListener("click", () => kill(process));
}

async function say(words) {
  showProblem("");
  audio.open().catch(() => {}); // without sound the words are shown
  await interrupt();
  if (active && connection === call) call.send({ type: "response.cancel" });
  if (connection === call) call.send({ type: "output_audio_buffer.clear" });
  waitingWords.push(words);
  if (connection.isOpen) flush();
  else join();
}

function hangUp() {
  connection.end();
  audio.close();
}

function withoutMicrophone(sentence) {
  audio.close();
  showTalking();
  showProblem(sentence);
}

async function kill(process) {
  watchUntil = Date.now() + WATCH_MS;
  try {
    await demo.ask({ ask: "kill", process });
  } catch (problem) {
    // A gateway that is killed cannot answer; every other failure is told.
    if (!(process === "gateway" && problem instanceof TypeError)) showProblem(problem.message);
  }
}

// ---------------------------------------------------------------- the connection

async function join() {
  if (connection.isWanted) return;
  try {
    await notice;
    const agent = chosenAgent();
    if (demo) secret = (await demo.ask({ ask: "secret", agent })).value;
    if (!secret) throw new Error(NO_SECRET);
    const spent = secret;
    secret = null; // it begins one talk
    await connection.begin(spent, agent, audio.stream);
  } catch (problem) {
    audio.close();
    showTalking();
    showProblem(problem instanceof TypeError ? AWAY : problem.message);
    if (!demo) here("secret").focus();
  }
}

function connectionIs(state, sentence) {
  clearTimeout(slow);
  if (state === "open" || state === "resumed") {
    showState(audio.isListening ? "Listening: ask a question." : "Connected: type a question.");
    showProblem("");
    flush();
    look();
  }
  if (state === "connecting") {
    showState("Connecting …");
    slow = setTimeout(() => showState(SLOW), SLOW_MS);
  }
  if (state === "away") showState(sentence);
  if (state === "lost") moments.add(`gateway lost: ${sentence}`, "bad");
  if (state === "resumed") moments.add(`resumed the same talk, ${sentence}`, "good");
  if (state === "closed") {
    active = false;
    audio.close();
    showState(sentence || "Press Talk, or type.");
  }
  showTalking();
}

function flush() {
  for (const text of waitingWords.splice(0)) {
    const id = `item_${[...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16)).join("")}`;
    const item = { id, type: "message", role: "user", content: [{ type: "input_text", text }] };
    connection.send({ type: "conversation.item.create", item });
    connection.send({ type: "response.create" });
    transcript.whole(id, "user", text);
  }
}

function sendAudio(samples, level) {
  here("talk").style.setProperty("--level", Math.min(1, level * 3).toFixed(2));
  if (connection === socket) socket.send({ type: "input_audio_buffer.append", audio: toBase64(samples) });
}

// ---------------------------------------------------------------- what the gateway says

const HANDLERS = {
  "input_audio_buffer.speech_started": async (event) => {
    await interrupt();
    transcript.begin(event.item_id, "user");
  },
  "conversation.item.input_audio_transcription.delta": (event) => transcript.add(event.item_id, "user", event.delta),
  "conversation.item.input_audio_transcription.completed": (event) =>
    transcript.whole(event.item_id, "user", event.transcript),
  "conversation.item.input_audio_transcription.failed": (event) =>
    transcript.whole(event.item_id, "user", "(not understood)"),
  "response.created": (event) => {
    active = true;
    if (untold.size) telling.set(event.response.id, [...untold]);
    untold.clear();
  },
  "response.output_audio.delta": (event) => {
    responseOf.set(event.item_id, event.response_id);
    if (!cutOff.has(event.item_id)) audio.play(event.item_id, fromBase64(event.delta));
  },
  "response.output_audio.done": (event) => connection === socket && audio.ended(event.item_id),
  "response.output_audio_transcript.delta": (event) => transcript.add(event.item_id, "model", event.delta),
  "response.output_audio_transcript.done": (event) => transcript.whole(event.item_id, "model", event.transcript),
  "response.output_text.delta": (event) => transcript.add(event.item_id, "model", event.delta),
  "response.output_text.done": (event) => transcript.whole(event.item_id, "model", event.text),
  "response.done": (event) => {
    active = false;
    if (event.response.status === "failed") showProblem("The model could not answer. Ask again.");
  },
  // On a call: the voice is played by the browser, and the Realtime API tells what was played.
  "response.output_item.added": ({ item, response_id }) => responseOf.set(item.id, response_id),
  "response.output_item.done": ({ item }) => {
    if (connection !== call || demo || item.type !== "function_call" || item.status !== "completed") return;
    calledOver.set(item.call_id, item.name);
    tellJob({ id: item.call_id, tool: item.name, state: "running" });
  },
  "conversation.item.added": ({ item }) => {
    const tool = item.type === "function_call_output" && calledOver.get(item.call_id);
    if (tool) tellJob({ id: item.call_id, tool, state: "acked" });
  },
  "output_audio_buffer.stopped": ({ response_id }) => {
    for (const job of toldBy(response_id)) calls.heard(job);
  },
  "output_audio_buffer.cleared": ({ response_id }) => {
    for (const [item, response] of responseOf) if (response === response_id) transcript.cut(item);
    for (const job of toldBy(response_id)) calls.cutOff(job);
  },
  "ringback.job": ({ job }) => {
    tellJob(job);
    look();
  },
  "ringback.result": ({ job, result }) => calls.shown(job, result),
  "ringback.session.rebuilt": ({ reason }) => moments.add(`the model's connection was renewed (${reason})`),
  "ringback.session.recorded": () => showRecorded(true),
  "ringback.session.draining": () => moments.add("the gateway is about to end"),
  error: ({ error }) => showProblem(error.message),
};

function tellJob(job) {
  if (calls.told(job)) untold.add(job.id);
}

function receive(event) {
  HANDLERS[event.type]?.(event);
}

/** The user speaks or types: stop the answer at once, and tell the gateway how much of it was heard. */
async function interrupt() {
  if (connection === call) return; // who speaks is heard by the server, which stops by itself
  const { item, ms, cut } = await audio.stop();
  if (!item || !(cut || active)) return;
  cutOff.add(item);
  transcript.cut(item);
  for (const job of told(item)) calls.cutOff(job);
  connection.send({ type: "conversation.item.truncate", item_id: item, content_index: 0, audio_end_ms: ms });
}

function played(item, ms, ended) {
  const before = item === reported.item ? reported.ms : 0;
  if (ended || ms - before >= REPORT_MS) {
    reported = { item, ms };
    connection.send({ type: "ringback.playback", item_id: item, played_ms: ms });
  }
  if (!ended) return;
  for (const job of told(item)) calls.heard(job);
}

/** Return the jobs whose results this item tells, once. */
function told(item) {
  return toldBy(responseOf.get(item));
}

function toldBy(response) {
  const jobs = telling.get(response) ?? [];
  telling.delete(response);
  return jobs;
}

// ---------------------------------------------------------------- what is shown

function showState(sentence) {
  here("state").textContent = sentence;
}

function showProblem(sentence) {
  here("problem").textContent = sentence;
  here("problem").hidden = !sentence;
}

function showRecorded(is) {
  here("recording").hidden = !is;
}

/** Show whether the next talk will be recorded, before the microphone is opened for it. */
function tellIfRecorded() {
  const agent = chosenAgent();
  if (demo) return showRecorded(connection === socket && recorded.includes(agent));
  // If the gateway does not say so now, it says so as the talk begins.
  notice = secret ? socket.isRecorded(secret, agent, here("way").value).then(showRecorded, () => {}) : Promise.resolve();
  return notice;
}

function showTalking() {
  const talks = connection.isWanted && audio.isListening;
  here("talk").textContent = talks ? "End" : "Talk";
  here("talk").setAttribute("aria-pressed", String(talks));
  if (!talks) here("talk").style.setProperty("--level", "0");
}

function chosenAgent() {
  if (demo) return here("agent").value || null;
  return new URLSearchParams(location.search).get("agent");
}

// ---------------------------------------------------------------- the demo: agents, sentences, buttons that kill

let agents = {};
let recorded = []; // agents whose talks are recorded

function suggest() {
  const sentences = agents[here("agent").value] ?? [];
  const buttons = sentences.map((sentence) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sentence;
    button.addEventListener("click", () => say(sentence));
    return button;
  });
  here("suggestions").replaceChildren(...buttons);
  here("suggestions").hidden = !buttons.length;
  if (demo && !buttons.length) showProblem(NO_TOOLS);
}

async function showDemo() {
  const answer = await demo.ask({ ask: "hello" });
  ({ agents, recorded, moment: lastMoment } = answer);
  const options = Object.keys(agents).map((name) => new Option(name, name));
  here("agent").replaceChildren(...options);
  here("agents").hidden = options.length < 2;
  here("admission").hidden = true; // of a tab in which the page was open before, without the link
  if (!connection.isWanted) showState("Press, allow the microphone, and ask a question.");
  showProblem("");
  here("destruction").hidden = false;
  here("console").hidden = false;
  suggest();
  tellIfRecorded();
}

let looking = false;

/** Look at processes and calls, again and again while one of them is under way. */
async function look() {
  if (!demo || looking) return;
  looking = true;
  while (calls.living.length || call.session || Date.now() < watchUntil) {
    try {
      const told = await demo.ask({ ask: "look", since: lastMoment, jobs: calls.living.slice(0, 8), session: call.session });
      for (const { number, at, what } of told.moments) {
        lastMoment = number;
        moments.add(what, what.startsWith("kill") ? "bad" : "", at * 1_000);
      }
      told.jobs.forEach((job) => calls.known(job));
    } catch {
      // The gateway is away: the next look tells.
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  looking = false;
}

async function start() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (location.hash) history.replaceState(null, "", location.pathname + location.search); // a secret stays in no address
  secret = fragment.get("secret");
  demo = secret ? null : Demo.of(fragment.get("demo"));
  if (demo) {
    try {
      return await showDemo();
    } catch (problem) {
      if (problem instanceof TypeError) { // the gateway is away, or this page is: the link is as good as before
        showProblem(AWAY);
        return setTimeout(start, LOOK_MS);
      }
      demo.forget();
      demo = null;
      showProblem(problem.message);
    }
  }
  here("admission").hidden = secret !== null;
  if (!secret) showState("Paste a client secret, then press Talk.");
  tellIfRecorded();
  return null;
}

here("ways").hidden = !Call.isPossible;
if (Call.isPossible && new URLSearchParams(location.search).get("way") === "webrtc") {
  here("way").value = "webrtc";
  connection = call;
}
window.addEventListener("hashchange", start);
window.addEventListener("pagehide", () => connection.isWanted && connection.end());
start();
