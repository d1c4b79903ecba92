// On the audio thread: plays pieces of 24 kHz PCM in order, says how much of each item was heard, and stops at once.

const RATE = 24_000;
const REPORT_SECONDS = 0.1;

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = RATE / sampleRate; // our samples for each of the device's
    this.queue = []; // {item, samples}, or {item, ended}: no more samples follow
    this.at = 0; // where in the first piece, in our samples
    this.played = 0; // of the present item, in our samples
    this.item = null;
    this.sinceReport = 0;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take(message) {
    if (message.stop) {
      const [next] = this.queue;
      const cut = this.queue.some((piece) => piece.samples);
      this.port.postMessage({ stopped: true, item: this.item ?? next?.item ?? null, ms: this.heardMs(), cut });
      this.queue = [];
      this.at = 0;
      this.item = null;
      return;
    }
    this.queue.push(message);
  }

  heardMs() {
    return Math.floor((this.played / RATE) * 1_000);
  }

  process(_, [[channel]]) {
    for (let index = 0; index < channel.length; index += 1) {
      channel[index] = this.next();
    }
    this.sinceReport += channel.length / sampleRate;
    if (this.item && this.sinceReport >= REPORT_SECONDS) this.report(false);
    return true;
  }

  // The next sample for the device, between two of ours; silence if there is none.
  next() {
    while (this.queue.length) {
      const [piece] = this.queue;
      if (piece.item !== this.item) this.begin(piece.item);
      if (piece.ended) {
        this.report(true);
        this.item = null;
        this.queue.shift();
      } else if (this.at >= piece.samples.length) {
        this.at -= piece.samples.length;
        this.queue.shift();
      } else {
        const index = Math.floor(this.at);
        const here = piece.samples[index];
        const after = piece.samples[Math.min(index + 1, piece.samples.length - 1)];
        const value = here + (after - here) * (this.at - index);
        this.at += this.step;
        this.played += this.step;
        return value / 32_768;
      }
    }
    return 0;
  }

  begin(item) {
    this.item = item;
    this.played = 0;
    this.at = 0;
    this.report(false);
  }

  report(ended) {
    this.sinceReport = 0;
    this.port.postMessage({ item: this.item, ms: this.heardMs(), ended });
  }
}

registerProcessor("playback", Playback);
