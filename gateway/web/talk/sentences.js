// What the page says when something is wrong: what happened, and what to do.

const MICROPHONE = {
  insecure: "Browsers give a microphone only to pages over https, or of this machine. You can type instead.",
  NotAllowedError:
    "The microphone is not allowed. Allow it for this page (the icon beside the address), and press again; or type.",
  gone: "The microphone is gone: unplugged, or not allowed any more. Press to try again, or type.",
  NotFoundError: "There is no microphone. Plug one in, and press again; or type.",
  NotReadableError: "Another program has the microphone. Close it there, and press again; or type.",
};

export function microphoneProblem(name) {
  return MICROPHONE[name] ?? `The microphone cannot be used (${name}). You can type instead.`;
}

// Why a session ended for good, by the code of its close frame (docs/protocol.md).
const ENDINGS = {
  4029: "The gateway got too much, too fast, and hung up. Press to talk again.",
  4401: "The secret was revoked, or an operator ended the talk. Ask for a new secret.",
  4402: "The budget is used up, so the talk has ended. Try again tomorrow, or ask for more.",
  4403: "The gateway refused too much of what this page sent, and hung up. Load the page again.",
  4409: "The talk goes on in another window, or was taken for lost here. Press to begin a new one.",
  4408: "The talk has ended: it was silent for long, or as long as it may be. Press to talk again.",
};

export function isFinal(code) {
  return code in ENDINGS || code === 1000;
}

export function ending(code) {
  return ENDINGS[code] ?? "The talk has ended.";
}

// Why no session began, by the HTTP status and the gateway's own words.
export function refusal(status, words) {
  if (status === 401) return "The secret has expired, or was used already. Ask for a new one.";
  if (status === 426) {
    return "The gateway took no session: a quota may be used up (its log says why), or a proxy lets no WebSocket pass.";
  }
  return words || `The gateway refused the talk (${status}).`;
}

// `why` is what the gateway said as it hung up; "" if it said nothing.
export function away(seconds, attempt, why) {
  const cause = navigator.onLine ? why || "The gateway is away." : "This device is offline.";
  return `${cause} Trying again in ${seconds} s (attempt ${attempt}) …`;
}

export const SLOW = "Still connecting: the gateway or the model does not answer yet.";

export const GIVEN_UP = "This talk is over and cannot be resumed. Press to begin a new one.";
export const AWAY = "The gateway does not answer. Is it running?";
export const NO_SECRET = "Paste a client secret first. Your backend hands one out.";
export const NO_TOOLS = "No worker serves a function of this agent right now: it can talk, and look nothing up.";
