// What happened, moment by moment: processes killed, jobs taken back, connections resumed, results heard.

export class Moments {
  #list;
  #known = new Set();

  constructor(list) {
    this.#list = list;
  }

  /**
   * @param {string} words what happened
   * @param {"good" | "bad" | ""} kind
   * @param {number} at milliseconds of Unix time
   * @param {string} key the same moment is told once; by default its words and time
   */
  add(words, kind = "", at = Date.now(), key = `${at} ${words}`) {
    if (this.#known.has(key)) return;
    this.#known.add(key);
    const line = document.createElement("li");
    line.dataset.at = at;
    const time = document.createElement("time");
    time.textContent = new Date(at).toTimeString().slice(0, 8);
    const text = document.createElement("span");
    text.className = kind;
    text.textContent = words;
    line.append(time, text);
    // In the order of time: of some moments this page hears late.
    const later = [...this.#list.children].find((each) => Number(each.dataset.at) > at);
    this.#list.insertBefore(line, later ?? null);
    this.#list.parentElement.scrollTop = this.#list.scrollHeight;
  }
}
