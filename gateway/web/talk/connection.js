// The WebSocket of one talk. If it is lost, it comes back to the same session, by the token that the gateway gave.

import { GIVEN_UP, away, ending, isFinal, refusal } from "./sentences.js";

const EXTENSIONS = "jobs,playback,recording,results,resume";
const PAUSES = [0.3, 0.7, 1, 1, 1, 2, 2, 3]; // seconds between attempts to come back; the last one repeats
const TICK = 100; // ms between two words of a countdown
const RESUME_SECONDS = 120;
const AUDIO = "input_audio_buffer.append";
const MOST_EARLY = 250; // pieces of the microphone, 10 s, that wait until there is a connection

export class Connection {
  #socket = null;
  #secret = null;
  #resume = null; // {token, seconds}
  #lostAt = null;
  #attempt = 0;
  #timer = null;
  #agent = null;
  #why = ""; // what the gateway said as it hung up last
  #early = []; // what was spoken before there was a connection

  /**
   * @param {object} on
   * @param {(event: object) => void} on.event an event of the gateway's
   * @param {(state: string, sentence: string) => void} on.state `connecting`, `open`, `away`, `resumed` or `closed`
   */
  constructor(on) {
    this.on = on;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  get isWanted() {
    return this.#secret !== null;
  }

  /** Begin a session with a client secret; `agent` may be null. */
  begin(secret, agent) {
    this.#secret = secret;
    this.#agent = agent;
    this.#resume = null;
    this.#lostAt = null;
    this.#attempt = 0;
    this.#why = "";
    this.#early = [];
    this.on.state("connecting", "");
    this.#dial();
  }

  send(event) {
    if (this.isOpen) return this.#socket.send(JSON.stringify(event));
    if (this.isWanted && event.type === AUDIO && this.#early.push(event) > MOST_EARLY) this.#early.shift();
  }

  /** Say goodbye: the session ends. */
  end() {
    this.#close("The talk has ended.");
  }

  /** Return whether the gateway will record a talk with this secret. `agent` may be null; `way` is the transport. */
  async isRecorded(secret, agent, way) {
    const headers = { Authorization: `Bearer ${secret}` };
    const url = this.#address(location.protocol, agent);
    url.pathname += "/notice";
    url.searchParams.set("transport", way);
    return (await (await fetch(url, { headers, cache: "no-store" })).json()).recorded === true;
  }

  #address(scheme, agent = this.#agent) {
    const url = new URL("/v1/realtime", location.href);
    url.protocol = scheme;
    if (agent) url.searchParams.set("agent", agent);
    url.searchParams.set("ringback", EXTENSIONS);
    url.hash = "";
    return url;
  }

  #dial() {
    const protocols = ["realtime", `openai-insecure-api-key.${this.#secret}`];
    if (this.#resume) protocols.push(`ringback-resume.${this.#resume.token}`);
    const socket = new WebSocket(this.#address(location.protocol === "https:" ? "wss:" : "ws:"), protocols);
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      if (socket === this.#socket) this.#early.splice(0).forEach((event) => this.send(event));
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#receive(JSON.parse(data));
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#lost(code, reason, opened);
    };
  }

  #receive(event) {
    if (event.type === "ringback.session.resumable") {
      this.#resume = { token: event.token, seconds: event.seconds, epoch: event.epoch };
    } else if (event.type === "session.created") {
      const came = this.#lostAt !== null;
      this.#lostAt = null;
      this.#attempt = 0;
      this.#why = "";
      this.on.state(came ? "resumed" : "open", came ? `epoch ${this.#resume?.epoch}` : "");
    }
    this.on.event(event);
  }

  async #lost(code, reason, opened) {
    if (isFinal(code)) return this.#close(ending(code));
    this.#why = reason || this.#why;
    // The secret has begun its session, and without a resume token there is no way back to it.
    if (reason && !this.#resume) return this.#close(reason);
    if (!opened) {
      const why = await this.#whyRefused();
      if (!this.isWanted) return;
      // 426 to a resume token: all but the token is in order.
      if (why?.status === 426 && this.#resume) return this.#close(GIVEN_UP);
      if (why && (!this.#resume || why.status !== 503)) {
        return this.#close((this.#resume && this.#why) || refusal(why.status, why.words));
      }
    }
    if (this.#lostAt === null) {
      this.#lostAt = Date.now();
      this.on.state("lost", `the connection ended with ${code}`);
    }
    const patience = this.#resume?.seconds ?? RESUME_SECONDS;
    if (Date.now() - this.#lostAt > patience * 1_000) return this.#close(GIVEN_UP);
    this.#attempt += 1;
    this.#countDown(Date.now() + PAUSES[Math.min(this.#attempt, PAUSES.length) - 1] * 1_000);
  }

  #countDown(until) {
    const left = until - Date.now();
    if (!this.isWanted) return;
    if (left <= 0) {
      this.on.state("connecting", "");
      this.#dial();
      return;
    }
    this.on.state("away", away(Math.ceil(left / 1_000), this.#attempt, this.#why));
    this.#timer = setTimeout(() => this.#countDown(until), TICK);
  }

  // A browser does not say why an upgrade was refused. The same request without the upgrade does; null: no answer.
  async #whyRefused() {
    try {
      const headers = { Authorization: `Bearer ${this.#secret}` };
      if (this.#resume) headers["Ringback-Resume"] = this.#resume.token;
      const answer = await fetch(this.#address(location.protocol), { headers, cache: "no-store" });
      const body = await answer.json();
      return { status: answer.status, words: body.error?.message };
    } catch {
      return null;
    }
  }

  #close(sentence) {
    clearTimeout(this.#timer);
    this.#secret = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    this.on.state("closed", sentence);
  }
}
