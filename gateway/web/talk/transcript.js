// Both sides of the talk, line by line; each line grows while it is said. All text goes in as text, never as markup.

const WHO = { user: "You: ", model: "Answer: " };

export class Transcript {
  #lines = new Map(); // by the item's id: {line, text}
  #list;
  #hint;

  constructor(list, hint) {
    this.#list = list;
    this.#hint = hint;
  }

  /** Begin the line of a user who speaks. */
  begin(item, side) {
    this.#at(item, side).line.classList.add("pending");
  }

  add(item, side, words) {
    const { line, text } = this.#at(item, side);
    line.classList.remove("pending");
    text.data += words;
    this.#scroll();
  }

  /** The whole of a line; a line in which no word was understood goes. */
  whole(item, side, words) {
    const { line, text } = this.#at(item, side);
    line.classList.remove("pending");
    if (words) text.data = words;
    if (!text.data) {
      line.remove();
      this.#lines.delete(item);
    }
    this.#scroll();
  }

  /** The user cut in: the rest of this line was not heard. */
  cut(item) {
    this.#lines.get(item)?.line.classList.add("cut");
  }

  #at(item, side) {
    let found = this.#lines.get(item);
    if (!found) {
      const line = document.createElement("li");
      line.className = side;
      const who = document.createElement("span");
      who.className = "spoken-only";
      who.textContent = WHO[side];
      const text = document.createTextNode("");
      line.append(who, text);
      found = { line, text };
      this.#lines.set(item, found);
      this.#list.append(line);
      this.#hint.hidden = true;
      this.#scroll();
    }
    return found;
  }

  #scroll() {
    this.#list.parentElement.scrollTop = this.#list.scrollHeight;
  }
}
