// One typed question over the official `openai` package, told as one line of JSON.
//
//   node --experimental-websocket talk.mjs header|subprotocol <base URL> <token> <question>
//
// `header` is how a server connects (the package `ws`), `subprotocol` how a browser does (the platform's own WebSocket).
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";

const [way, baseURL, apiKey, question] = process.argv.slice(2);
const client = new OpenAI({ apiKey, baseURL, dangerouslyAllowBrowser: true });
const Realtime = way === "header" ? OpenAIRealtimeWS : OpenAIRealtimeWebSocket;
const realtime = new Realtime({ model: "gpt-realtime" }, client);
const told = { events: [], answers: [], errors: [] };

function finish() {
  console.log(JSON.stringify(told));
  process.exit(0);
}

realtime.on("event", (event) => told.events.push(event.type));
realtime.on("error", (error) => {
  told.errors.push(String(error.message));
  finish();
});
realtime.on("session.created", () => {
  const content = [{ type: "input_text", text: question }];
  realtime.send({ type: "session.update", session: { type: "realtime", output_modalities: ["text"], tools: [] } });
  realtime.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
  realtime.send({ type: "response.create" });
});
realtime.on("response.done", ({ response }) => {
  const text = response.output.flatMap((item) => item.content ?? []).map((part) => part.text ?? part.transcript ?? "");
  told.answers.push(text.join(" "));
  if (told.answers.at(-1).includes("degrees")) realtime.close();
});
realtime.socket.addEventListener("close", finish);
