// The classes that a reviewer chooses from: the first nine as buttons with their digits and the model's scores as bars,
// and all of them by typing, with a new one for what no class is called.

const DIGITS = 9;
const MOST = 8; // classes that typing offers
const LONGEST = 128; // characters of a class
const ALIKE = 0.7; // from which a new class may be a known one that was mistyped; below what the gateway refuses

const SVG = "http://www.w3.org/2000/svg";

export class Choices {
  // `root` has [data-options], [data-search] and [data-matches]; `choose(label, isNew)` gets what is chosen.
  constructor(root, choose) {
    this.list = root.querySelector("[data-options]");
    this.field = root.querySelector("[data-search]");
    this.matches = root.querySelector("[data-matches]");
    this.choose = choose;
    this.field.addEventListener("input", () => this.offer());
    this.field.addEventListener("keydown", (event) => this.onKey(event));
    this.field.addEventListener("blur", () => this.close());
    // the field keeps the focus, so that its blur does not close the list before the click
    this.matches.addEventListener("pointerdown", (event) => event.preventDefault());
    this.matches.addEventListener("click", (event) => this.pick(event.target.closest("[role=option]")));
  }

  // Shows the classes of an item: the model's guesses first, then the label that it has, then the others in their order.
  show(item, classes) {
    this.classes = classes;
    const scores = new Map(item.guess);
    this.labels = [...new Set([...scores.keys(), ...(item.label_now ? [item.label_now] : []), ...classes])].slice(0, DIGITS);
    this.list.replaceChildren(...this.labels.map((label, index) => this.option(label, index, scores.get(label), item)));
    this.clear();
  }

  digit(number) {
    const label = this.labels?.[number - 1];
    if (label !== undefined) this.choose(label);
  }

  option(label, index, score, item) {
    const entry = document.createElement("li"), button = element("button", "option");
    button.type = "button";
    const text = element("span", "grow");
    const name = element("strong", "", label);
    text.append(name);
    if (label === item.label_now) name.append(" ", element("span", "tag", "label now"));
    if (index === 0 && item.label_now && score !== undefined) name.append(" ", element("span", "tag tide", "suggested"));
    if (score !== undefined) text.append(bar(score));
    button.append(element("kbd", "key", String(index + 1)), text, element("span", "num", score === undefined ? "" : percent(score)));
    button.addEventListener("click", () => this.choose(label));
    entry.append(button);
    return entry;
  }

  // Offers the classes that begin with the text, then those that contain it, then one that resembles it, then the text as
  // a new class.
  offer() {
    const text = this.field.value.trim().slice(0, LONGEST), lower = text.toLowerCase();
    if (!text) return this.close();
    const containing = this.classes.filter((label) => label.toLowerCase().includes(lower));
    const first = containing.filter((label) => label.toLowerCase().startsWith(lower));
    const labels = [...first, ...containing.filter((label) => !first.includes(label))].slice(0, MOST);
    const options = labels.map((label) => [label, label]);
    const known = this.classes.some((label) => label.toLowerCase() === lower);
    if (!known) {
      const meant = alike(lower, this.classes);
      if (meant && !labels.includes(meant)) options.push([meant, `Did you mean “${meant}”?`]);
      options.push([text, `New class “${text}”`, "new"]);
    }
    this.matches.replaceChildren(...options.map(([label, title, isNew = ""], index) => {
      const option = element("li", "", title);
      option.id = `match-${index}`;
      option.setAttribute("role", "option");
      Object.assign(option.dataset, { label, isNew });
      return option;
    }));
    this.matches.hidden = false;
    this.field.setAttribute("aria-expanded", "true");
    this.mark(0);
  }

  mark(index) {
    const options = [...this.matches.children];
    this.marked = (index + options.length) % options.length;
    options.forEach((option, number) => option.setAttribute("aria-selected", String(number === this.marked)));
    this.field.setAttribute("aria-activedescendant", `match-${this.marked}`);
    options[this.marked]?.scrollIntoView({ block: "nearest" });
  }

  onKey(event) {
    const open = !this.matches.hidden;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.isComposing) return;
    if (event.key === "Enter") {
      event.preventDefault();
      if (open) this.pick(this.matches.children[this.marked]);
    } else if (event.key === "Escape") {
      this.clear();
      this.field.blur();
    } else if (step && open) {
      event.preventDefault();
      this.mark(this.marked + step);
    }
  }

  pick(option) {
    if (!option) return;
    this.field.blur();
    this.choose(option.dataset.label, Boolean(option.dataset.isNew));
  }

  clear() { this.field.value = ""; this.close(); }

  close() {
    this.matches.hidden = true;
    this.field.setAttribute("aria-expanded", "false");
    this.field.removeAttribute("aria-activedescendant");
  }
}

export function element(name, className, text = "") {
  const node = document.createElement(name);
  node.className = className;
  if (text) node.textContent = text;
  return node;
}

// Returns the class that resembles a text most, or undefined if none does.
function alike(text, classes) {
  const scored = classes.map((label) => [label, likeness(text, label.toLowerCase())]).filter(([, score]) => score >= ALIKE);
  return scored.sort(([, one], [, other]) => other - one)[0]?.[0];
}

// Returns the share of the characters of two texts that they have in common in the same order, 0 to 1.
function likeness(text, other) {
  const total = text.length + other.length;
  if (2 * Math.min(text.length, other.length) < ALIKE * total) return 0;
  let row = new Array(other.length + 1).fill(0); // the most common characters of what was read of `text` and of each beginning of `other`
  for (const character of text) {
    const next = [0];
    for (let index = 0; index < other.length; index++) {
      next.push(character === other[index] ? row[index] + 1 : Math.max(next[index], row[index + 1]));
    }
    row = next;
  }
  return (2 * row[other.length]) / total;
}

export const percent = (score) => `${Math.round(score * 100)}\u00a0%`;

function bar(score) {
  const drawing = document.createElementNS(SVG, "svg"), filled = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ class: "bar", width: "100%", height: 6, "aria-hidden": "true" })) drawing.setAttribute(name, value);
  for (const [name, value] of Object.entries({ width: `${(score * 100).toFixed(2)}%`, height: 6, rx: 3 })) filled.setAttribute(name, value);
  drawing.append(filled);
  return drawing;
}
