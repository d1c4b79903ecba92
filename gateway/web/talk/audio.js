// The microphone and the loudspeaker of one talk: PCM of 16 bits at 24 kHz, as the Realtime API has it.

import { microphoneProblem } from "./sentences.js";

export class Audio {
  #context = null;
  #playback = null;
  #stream = null;
  #capture = null;
  #waiting = []; // who waits to hear what a stop has cut off

  /**
   * @param {object} on
   * @param {(samples: Int16Array, level: number) => void} on.heard a piece of the microphone, its loudness 0 to 1
   * @param {(item: string, ms: number, ended: boolean) => void} on.played how much of an item was played
   * @param {(sentence: string) => void} on.gone the microphone was unplugged, or is not allowed any more
   */
  constructor(on) {
    this.on = on;
  }

  get isListening() {
    return this.#stream !== null;
  }

  /** The microphone, while it is open; else null. */
  get stream() {
    return this.#stream;
  }

  // To be called in the handler of a tap or key: browsers let a page make sound from there only.
  async open() {
    if (!globalThis.isSecureContext) return; // no worklets there
    if (this.#context === null) {
      this.#context = new AudioContext();
      const here = (name) => new URL(name, import.meta.url);
      const context = this.#context;
      this.#playback = Promise.all([
        context.audioWorklet.addModule(here("./capture-worklet.js")),
        context.audioWorklet.addModule(here("./playback-worklet.js")),
      ]).then(() => this.#loudspeaker(context));
    }
    this.#context.resume();
    await this.#playback;
  }

  #loudspeaker(context) {
    const node = new AudioWorkletNode(context, "playback", { numberOfInputs: 0, outputChannelCount: [1] });
    node.port.onmessage = ({ data }) => {
      if (data.stopped) this.#waiting.shift()?.(data);
      else this.on.played(data.item, data.ms, data.ended);
    };
    node.connect(context.destination);
    return node;
  }

  /** Ask for the microphone; throw an Error whose message is for the person. */
  async listen() {
    if (!navigator.mediaDevices?.getUserMedia) throw new Error(microphoneProblem("insecure"));
    try {
      const wanted = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    } catch (problem) {
      throw new Error(microphoneProblem(problem.name));
    }
    for (const track of this.#stream.getTracks()) track.onended = () => this.on.gone(microphoneProblem("gone"));
    await this.open();
    this.#capture = new AudioWorkletNode(this.#context, "capture", { channelCount: 1 });
    this.#capture.port.onmessage = ({ data }) => this.on.heard(data.samples, data.level);
    this.#context.createMediaStreamSource(this.#stream).connect(this.#capture);
    this.#capture.connect(this.#context.destination); // silent, but what leads nowhere is not run everywhere
  }

  async play(item, samples) {
    (await this.#playback)?.port.postMessage({ item, samples });
  }

  async ended(item) {
    (await this.#playback)?.port.postMessage({ item, ended: true });
  }

  /** Stop playing at once; return `{item, ms, cut}`: what played, how much was heard, whether some was not. */
  async stop() {
    const node = await this.#playback;
    if (!node) return { item: null, ms: 0, cut: false };
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      node.port.postMessage({ stop: true });
    });
  }

  /** Close the microphone; what is playing is stopped. */
  async close() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#stream = null;
    this.#capture?.disconnect();
    if (this.#capture) this.#capture.port.onmessage = null;
    this.#capture = null;
    await this.stop();
  }
}

export function toBase64(samples) {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

export function fromBase64(text) {
  const raw = atob(text);
  const samples = new Int16Array(raw.length >> 1);
  for (let index = 0; index < samples.length; index += 1) {
    samples[index] = ((raw.charCodeAt(2 * index + 1) << 8) | raw.charCodeAt(2 * index)) << 16 >> 16;
  }
  return samples;
}
