// The WebRTC call of one talk: sound goes between the browser and the Realtime API, and the gateway is beside the call.

import { refusal } from "./sentences.js";

const CALLS = "/v1/realtime/calls";
const GONE = "The call was lost, and the talk with it. Press to talk again.";
const BLOCKED = "No sound gets through by WebRTC: a firewall may be in the way. Choose WebSocket above, and press again.";

export class Call {
  #peer = null;
  #channel = null;
  #sender = null;
  #speaker = document.createElement("audio");

  /**
   * @param {object} on
   * @param {(event: object) => void} on.event an event of the Realtime API's
   * @param {(state: string, sentence: string) => void} on.state `connecting`, `open` or `closed`
   */
  constructor(on) {
    this.on = on;
    this.session = null; // the gateway's id of it
    this.#speaker.autoplay = true;
  }

  static get isPossible() {
    return "RTCPeerConnection" in globalThis;
  }

  get isOpen() {
    return this.#channel?.readyState === "open";
  }

  get isWanted() {
    return this.#peer !== null;
  }

  /** Begin a session with a client secret; `agent` and `microphone` may be null. */
  async begin(secret, agent, microphone) {
    const peer = new RTCPeerConnection();
    let wasOpen = false;
    this.#peer = peer;
    this.on.state("connecting", "");
    this.#sender = peer.addTransceiver("audio", { direction: "sendrecv" }).sender;
    peer.ontrack = ({ track }) => {
      this.#speaker.srcObject = new MediaStream([track]);
    };
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === "failed") this.#close(peer, wasOpen ? GONE : BLOCKED);
    };
    this.#channel = peer.createDataChannel("oai-events");
    this.#channel.onopen = () => (wasOpen = true);
    this.#channel.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#channel.onclose = () => this.#close(peer, "The talk has ended.");
    try {
      await this.#sender.replaceTrack(microphone?.getAudioTracks()[0] ?? null);
      if (peer !== this.#peer) return;
      await this.#place(peer, secret, agent);
    } catch (problem) {
      if (peer !== this.#peer) return; // the person has hung up meanwhile
      this.#close(peer, "");
      throw problem;
    }
  }

  /** Use the microphone from now on; null: no longer. */
  hear(microphone) {
    this.#sender?.replaceTrack(microphone?.getAudioTracks()[0] ?? null);
  }

  send(event) {
    if (this.isOpen) this.#channel.send(JSON.stringify(event));
  }

  /** Hang up: the session ends. */
  end() {
    this.#close(this.#peer, "The talk has ended.");
  }

  // The offer names no address of ours: the Realtime API is the one that is called.
  async #place(peer, secret, agent) {
    await peer.setLocalDescription();
    const url = new URL(CALLS, location.href);
    if (agent) url.searchParams.set("agent", agent);
    const headers = { Authorization: `Bearer ${secret}`, "Content-Type": "application/sdp" };
    const answer = await fetch(url, { method: "POST", headers, body: peer.localDescription.sdp });
    const text = await answer.text();
    if (peer !== this.#peer) return;
    if (!answer.ok) throw new Error(refusal(answer.status, wordsOf(text)));
    this.session = answer.headers.get("Location")?.split("/").at(-1) ?? null;
    await peer.setRemoteDescription({ type: "answer", sdp: text });
  }

  #receive(event) {
    if (event.type === "session.created") this.on.state("open", "");
    this.on.event(event);
  }

  #close(peer, sentence) {
    if (peer === null || peer !== this.#peer) return;
    this.#peer = null;
    this.#sender = null;
    this.session = null;
    this.#speaker.srcObject = null;
    peer.close();
    this.on.state("closed", sentence);
  }
}

function wordsOf(text) {
  try {
    return JSON.parse(text).error?.message;
  } catch {
    return null;
  }
}
