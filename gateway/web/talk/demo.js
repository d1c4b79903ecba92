// The page's way to `ringback up`, through its own gateway: secrets, what happened, and kill -9.

const KEPT = "ringback-demo"; // in the tab's storage, so that the page can be loaded again

export class Demo {
  #token;

  constructor(token) {
    this.#token = token;
  }

  /** Return the demo of this tab: by the link's token, or by the one that the tab has kept; null without either. */
  static of(linked) {
    if (linked) sessionStorage.setItem(KEPT, linked);
    const token = linked ?? sessionStorage.getItem(KEPT);
    return token ? new Demo(token) : null;
  }

  forget() {
    sessionStorage.removeItem(KEPT);
  }

  /** Ask; return the answer, or throw an Error whose message is for the person; a TypeError: there was no answer. */
  async ask(request) {
    const headers = { "Content-Type": "application/json", "Ringback-Demo": this.#token };
    const answer = await fetch("/demo", { method: "POST", headers, body: JSON.stringify(request) });
    if (answer.status === 404) throw new Error("This gateway was not started by `ringback up`: paste a client secret.");
    const body = await answer.json().catch(() => { throw new TypeError("no gateway has answered"); });
    if (body.error) throw new Error(body.error.message ?? body.error);
    return body;
  }
}
