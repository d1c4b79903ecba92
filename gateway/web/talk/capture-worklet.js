// On the audio thread: the microphone at the device's rate, as 24 kHz PCM of 16 bits in pieces of 40 ms.

const RATE = 24_000;
const PIECE = 960; // samples: 40 ms

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / RATE; // device samples for each of ours
    this.sum = 0;
    this.weight = 0;
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
    this.loudest = 0;
  }

  // Each of our samples is the mean of the device samples that it covers: a low-pass filter that costs one addition.
  process([[channel]]) {
    if (!channel) return true;
    for (const sample of channel) {
      let left = 1;
      while (left > 0) {
        const taken = Math.min(left, this.step - this.weight);
        this.sum += sample * taken;
        this.weight += taken;
        left -= taken;
        if (this.weight > this.step - 1e-9) this.keep(this.sum / this.step);
      }
    }
    return true;
  }

  keep(value) {
    this.sum = 0;
    this.weight = 0;
    const level = Math.max(-1, Math.min(1, value));
    this.loudest = Math.max(this.loudest, Math.abs(level));
    this.piece[this.filled] = Math.round(level * 32_767);
    this.filled += 1;
    if (this.filled < PIECE) return;
    this.port.postMessage({ samples: this.piece, level: this.loudest }, [this.piece.buffer]);
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
    this.loudest = 0;
  }
}

registerProcessor("capture", Capture);
