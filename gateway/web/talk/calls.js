// Each call of a function as a bar that grows while it lives: queued, running, delivered, heard.

const ENDS = new Set(["succeeded", "failed", "timed_out", "cancelled", "dead", "unknown"]);
const IN_CONVERSATION = new Set(["acked", "replayed", "spoken", "heard"]);
const TOLD_MS = 60_000; // a result that is not told so long after its delivery was for the model alone
const SLOW_MS = 4_000; // so long a call may be queued before the page says that no worker took it

export class Calls {
  #calls = new Map(); // by the job's id
  #list;
  #hint;
  #moments;

  constructor(list, hint, moments) {
    this.#list = list;
    this.#hint = hint;
    this.#moments = moments;
    setInterval(() => this.#calls.forEach((call) => isOver(call) || this.#draw(call)), 200);
  }

  /** Take in a `ringback.job` event; return whether the call's result has just entered the conversation. */
  told(job) {
    const call = this.#at(job.id, job.tool);
    const now = Date.now();
    call.progress = job.progress ?? call.progress;
    if (job.state === "pending") this.#enter(call, "queued", now);
    else if (job.state === "running") this.#enter(call, "running", now);
    else this.#enter(call, "delivered", now);
    if (ENDS.has(job.state)) call.end = job.state;
    if (job.state === "replayed") {
      const words = `${call.tool}: done meanwhile, and its result is in the resumed talk`;
      this.#moments.add(words, "good", now, `replayed ${job.id}`);
    }
    const has = IN_CONVERSATION.has(job.state);
    const isNew = has && !call.deliveredAt;
    if (isNew) call.deliveredAt = now;
    this.#draw(call);
    return isNew;
  }

  /** Take in the whole life of a call, as the history has it. */
  known(job) {
    const call = this.#at(job.id, job.tool);
    call.phases = phasesOf(job);
    call.progress = job.progress ?? call.progress;
    call.args = job.arguments;
    call.summary = job.summary ?? null; // the tool's own line on it
    call.error = job.error?.message ?? null;
    if (ENDS.has(job.state)) call.end = job.state;
    call.attempt = job.attempt;
    if (job.delivery === "heard") this.heard(job.id, Date.parse(job.transitions.at(-1).at));
    this.#tell(call, job);
    this.#draw(call);
  }

  /** What a tool shows to this client. */
  shown(job, result) {
    const call = this.#at(job.id, job.tool);
    call.result.hidden = false;
    call.result.textContent = typeof result === "string" ? result : JSON.stringify(result, null, 2);
  }

  /** The user has heard the words that tell this call's result. */
  heard(id, at = Date.now()) {
    const call = this.#calls.get(id);
    if (!call || call.heardAt) return;
    call.heardAt = at;
    this.#moments.add(`${call.tool}: you heard the answer`, "good", at, `heard ${id}`);
    this.#draw(call);
  }

  /** The user cut in while this call's result was told. */
  cutOff(id) {
    const call = this.#calls.get(id);
    if (!call || call.heardAt) return;
    call.isCut = true;
    call.heardAt = Date.now();
    this.#draw(call);
  }

  /** The ids of calls of which more is to come. */
  get living() {
    return [...this.#calls.values()].filter((call) => !isOver(call)).map((call) => call.id);
  }

  #at(id, tool) {
    let call = this.#calls.get(id);
    if (!call) {
      call = { id, tool, phases: [], attempt: 1, end: null, deliveredAt: null, isCut: false, heardAt: null };
      Object.assign(call, element(tool));
      this.#calls.set(id, call);
      this.#list.prepend(call.line);
      this.#hint.hidden = true;
    }
    return call;
  }

  #enter(call, name, at) {
    const rank = { queued: 0, running: 1, delivered: 2 };
    const last = call.phases.at(-1);
    if (!last || rank[name] > rank[last.name]) call.phases.push({ name, at });
  }

  #tell(call, job) {
    for (const attempt of job.attempts) {
      const at = (moment) => Date.parse(moment);
      if (attempt.ended === "lost") {
        const words = `${call.tool}: its worker was lost, and the job taken back`;
        this.#moments.add(words, "bad", at(attempt.ended_at), `lost ${job.id} ${attempt.number}`);
      }
      if (attempt.number > 1) {
        const words = `${call.tool}: attempt ${attempt.number} runs`;
        this.#moments.add(words, "", at(attempt.started_at), `run ${job.id} ${attempt.number}`);
      }
    }
  }

  #draw(call) {
    const now = call.heardAt ?? Date.now();
    const pieces = call.phases.map(({ name, at }, index) => {
      const isLast = index === call.phases.length - 1;
      const piece = document.createElement("span");
      piece.className = isLast && !call.heardAt ? `${name} now` : name;
      piece.style.flexGrow = Math.max(1, (isLast ? now : call.phases[index + 1].at) - at);
      return piece;
    });
    if (call.heardAt && !call.isCut) {
      const piece = document.createElement("span");
      piece.className = "heard";
      piece.style.flexGrow = Math.max(1, (now - (call.phases[0]?.at ?? now)) / 12);
      pieces.push(piece);
    }
    call.lane.replaceChildren(...pieces);
    call.outcome.textContent = wordsFor(call);
    call.arguments.textContent = call.summary ?? writtenOut(call.args ?? {});
  }
}

function isOver(call) {
  return call.heardAt !== null || (call.deliveredAt !== null && Date.now() - call.deliveredAt > TOLD_MS);
}

function element(tool) {
  const line = document.createElement("li");
  line.className = "call";
  const header = document.createElement("header");
  const name = document.createElement("strong");
  name.textContent = tool;
  const outcome = document.createElement("span");
  outcome.className = "outcome small";
  header.append(name, outcome);
  const lane = document.createElement("div");
  lane.className = "lane";
  lane.setAttribute("aria-hidden", "true"); // the words beside it say the same
  const args = document.createElement("code");
  args.className = "quiet small";
  const result = document.createElement("pre");
  result.hidden = true;
  line.append(header, lane, args, result);
  return { line, lane, outcome, arguments: args, result };
}

function wordsFor(call) {
  const end = call.end?.replace("_", " ");
  const last = call.phases.at(-1);
  const again = call.attempt > 1 ? ` (attempt ${call.attempt})` : "";
  if (call.isCut) return `told in part: you cut in${again}`;
  if (call.heardAt) return `${end && end !== "succeeded" ? `${end}, ` : ""}heard${again}`;
  if (last?.name === "delivered") {
    if (end && end !== "succeeded") return `${end}${call.error ? `: ${call.error}` : ""}${again}`;
    return `delivered, being told${again}`;
  }
  if (last?.name === "running") return `running${call.progress ? `: ${call.progress}` : ""}${again}`;
  if (call.phases.some((phase) => phase.name === "lost")) return "its worker was lost: queued again";
  const waited = Date.now() - (last?.at ?? Date.now());
  return waited > SLOW_MS ? `queued: no worker took it for ${Math.round(waited / 1_000)} s` : "queued";
}

function writtenOut(args) {
  if (typeof args !== "object") return String(args);
  return Object.entries(args)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
}

// The phases of a job from its transitions: a run whose worker was lost is told apart.
function phasesOf(job) {
  const lost = new Set(job.attempts.filter((each) => each.ended === "lost").map((each) => each.number));
  const phases = [];
  for (const { at, state, attempt } of job.transitions) {
    let name = "delivered";
    if (state === "pending") name = "queued";
    else if (state === "running") name = lost.has(attempt) ? "lost" : "running";
    if (phases.at(-1)?.name !== name || name === "running") phases.push({ name, at: Date.parse(at) });
  }
  return phases;
}
