// <review-queue>: one image after the other, by keyboard, mouse or touch. The next images are loaded while the reviewer looks
// at this one. An answer is stored in the browser before the next image shows, and sent in the background.
import { Choices, element, percent } from "./choices.js";
import { Leases, caller } from "./leases.js";
import { Outbox, SIGNED_OUT } from "./outbox.js";

const KEYS = { Enter: "accept", s: "skip", x: "none", z: "undo", "?": "keys" };
const PACE_ANSWERS = 30; // the last answers, of which the pace is measured
const PACE_PAUSE_MS = 60_000; // a longer pause begins a new measurement
const REFRESH_MS = 10_000; // of what others have done
const CANNOT_STORE = "This browser cannot store answers. Free some space, leave private mode, or allow this site to store data; then reload the page.";
const GONE = "That image was erased or deleted meanwhile; your answer is not needed.";
const UNDO_AGAIN = "Tidepool does not answer, so the last answer may not be undone yet. Undo again.";
const UNSENT_MS = 3_000; // that the page waits for answers to be sent before it asks for images that it has none of

class ReviewQueue extends HTMLElement {
  connectedCallback() {
    this.find = (name) => this.querySelector(`[data-${name}]`);
    this.item = null; // the item that shows
    this.answered = []; // the items that were answered on this page, oldest first
    this.times = [];
    this.notes = { outbox: { text: "" }, leases: { text: "" } };
    this.choices = new Choices(this, (label, isNew) => this.answer(isNew ? { label, new: true } : { label }, label));
    this.call = caller(this.dataset.reviewer);
    this.leases = new Leases(this.dataset.query, this.call, { changed: () => this.advance(), lost: (item) => this.lost(item), sent: () => this.sent().catch(() => null), problem: (text, status) => this.note("leases", text, status === 401) });
    this.outbox = new Outbox(this.dataset.reviewer, { waiting: (count, why) => this.waiting(count, why), refused: (...details) => this.refused(...details) });
    this.actions = {
      accept: () => this.accept(),
      skip: () => this.answer({ skip: true }, "skipped"),
      none: () => this.answer({ not_any: true }, "not any of the classes"),
      undo: () => this.undo(),
      keys: () => this.find("help").showModal(),
    };
    for (const [name, action] of Object.entries(this.actions)) {
      this.find(name).addEventListener("click", (event) => { action(); if (event.detail) event.currentTarget.blur(); }); // for Enter to accept
    }
    this.onKey = (event) => this.key(event);
    document.addEventListener("keydown", this.onKey);
    this.start();
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.onKey);
    clearTimeout(this.later);
    this.leases.stop();
  }

  async start() {
    try {
      await this.sent();
    } catch {
      this.find("stage").removeAttribute("aria-busy");
      return this.say("problem", CANNOT_STORE);
    }
    this.refresh();
    this.leases.start();
  }

  sent() { return Promise.race([this.outbox.send(), new Promise((resolve) => setTimeout(resolve, UNSENT_MS))]); }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, select, textarea")) return;
    if (event.key === "Enter" && event.target.closest("button, a")) return;
    const name = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (name) this.actions[name]();
    else if (/^[1-9]$/.test(event.key)) this.choices.digit(Number(event.key));
    else return;
    event.preventDefault();
  }

  // The model's guess or, of an image without one, the label that it has.
  get best() { return this.item?.guess[0]?.[0] ?? this.item?.label_now; }

  accept() { if (this.best) this.answer({ label: this.best }, this.best); }

  async answer(says, words) {
    const item = this.item;
    if (!item || this.storing) return; // the next image is not here yet, and nobody answers what they have not seen
    if (this.broken && !says.skip) return this.say("problem", "Skip this image: it cannot be shown.");
    this.storing = true;
    try {
      await this.outbox.add({ id: item.id, lease: item.lease, says });
    } catch {
      return this.say("problem", CANNOT_STORE);
    } finally {
      this.storing = false;
    }
    this.undoKey = null;
    if (says.new) this.leases.create(item, says.label);
    this.answered.push(item);
    this.count(1);
    this.find("said").textContent = `Answered: ${words}.`;
    this.item = null;
    this.leases.remove(item);
    this.advance();
  }

  // Shows the next item once its image is here.
  advance() {
    this.find("ahead").replaceChildren(...this.leases.ahead(this.item ?? this.leases.first?.item).map((address) => Object.assign(new Image(), { src: address, alt: "" })));
    if (this.item) return;
    const entry = this.leases.first;
    this.find("stage").toggleAttribute("aria-busy", !entry);
    this.find("work").hidden = this.leases.empty;
    this.find("empty").hidden = !this.leases.empty;
    if (this.leases.empty) {
      this.find("question").textContent = "Review";
      this.find("origin").textContent = "\u00a0";
      this.find("reason").textContent = reasonOf(this.leases.reason);
    }
    if (!entry) return;
    this.item = entry.item;
    this.broken = entry.broken;
    const inside = this.find("options").contains(document.activeElement);
    const image = entry.image ?? element("p", "broken", "This image cannot be shown: its file is damaged, or this browser does not know its format.");
    image.alt = "The image to review";
    this.find("stage").replaceChildren(image);
    this.choices.show(this.item, this.leases.classesOf(this.item));
    this.describe(this.item);
    if (inside) this.find("question").focus({ preventScroll: true }); // the button that had the focus is gone
  }

  describe({ source, guess, dataset, model, alias, label_now: now }) {
    const question = now ? `Is this “${now}”?` : "What is this?";
    const reason = this.find("sources").content.querySelector(`[data-source=${source}]`).textContent;
    this.find("question").textContent = question;
    this.find("origin").textContent = [dataset ?? [model, alias].filter(Boolean).join("@"), reason].filter(Boolean).join(" · ");
    this.find("accept").disabled = !this.best || this.broken;
    this.find("none").disabled = this.broken;
    this.find("accepts").textContent = now && now === this.best ? "Keep" : "Accept";
    this.find("said").textContent += ` ${question}${guess.length ? ` The model's guess: ${guess[0][0]}, ${percent(guess[0][1])}.` : ""}`;
  }

  async undo() {
    if (this.storing) return;
    const last = this.answered.pop();
    try {
      const unsent = last && (await this.outbox.withdraw(last.id));
      this.undoKey ??= crypto.randomUUID(); // for a repetition after an outage to undo one answer, not two
      const item = unsent ? last : await this.call("POST", "undo", { headers: { "Idempotency-Key": this.undoKey } });
      this.undoKey = null;
      if (!item.lease) throw new Error("The answer is undone; somebody else has the image now.");
      this.item = null;
      this.find("said").textContent = "Undone.";
      this.leases.uncreate(item);
      this.leases.put({ ...last, ...item }, 0);
      this.count(-1);
    } catch (error) {
      if (last && error.status !== undefined) this.answered.push(last);
      this.say("problem", error.again ? UNDO_AGAIN : error.message);
    }
  }

  // Counts an answer, and measures the pace.
  count(change) {
    const now = performance.now();
    if (now - this.times.at(-1) > PACE_PAUSE_MS) this.times = [];
    this.times = change > 0 ? [...this.times, now].slice(-PACE_ANSWERS) : this.times.slice(0, -1);
    for (const [name, by] of [["today", change], ["left", -change]]) this.find(name).textContent = Math.max(0, Number(this.find(name).textContent) + by);
    const count = this.times.length - 1;
    this.find("pace").hidden = count < 5;
    if (count >= 5) this.find("pace").textContent = `${Math.round((count * 60_000) / (this.times.at(-1) - this.times[0]))} a minute`;
    this.say("problem", "");
  }

  waiting(count, why) {
    const kept = count === 1 ? "One answer is kept in this browser" : `${count} answers are kept in this browser`;
    const texts = { outage: `Tidepool does not answer. ${kept} and will be sent when it is back.`, "signed-out": `${SIGNED_OUT}. ${kept} and will be sent when you have signed in again.` };
    this.note("outbox", texts[why] ?? "", why === "signed-out");
    if (!count) this.refresh();
  }

  // Shows what keeps the page from the gateway: first what it means for answers, then for images.
  note(name, text, signedOut) {
    this.notes[name] = { text, signedOut };
    const { outbox, leases } = this.notes, shown = outbox.text ? outbox : leases;
    this.say("outage", shown.text);
    this.find("sign-in").hidden = !shown.signedOut;
  }

  // An answer that the gateway does not take: its image was answered by somebody else, or the answer has to be another one.
  refused(answer, status, detail) {
    const item = this.answered.find((other) => other.id === answer.id);
    this.answered = this.answered.filter((other) => other !== item);
    this.leases.uncreate(answer);
    this.count(-1);
    this.say("problem", status === 404 ? GONE : `An answer was not accepted: ${detail}.`);
    if (!item || status === 404 || status === 409) return;
    this.item = null;
    this.leases.put(item, 0);
  }

  lost(item) {
    if (item !== this.item || this.storing) return;
    this.item = null;
    this.find("said").textContent = "That image is no longer in the queue.";
    this.advance();
  }

  say(name, text) {
    const node = this.find(name);
    node.hidden = !text;
    if (node.firstElementChild.textContent !== text) node.firstElementChild.textContent = text;
  }

  // Shows what others have done meanwhile.
  async refresh() {
    clearTimeout(this.later);
    const due = (this.refreshed ?? 0) + REFRESH_MS - Date.now();
    if (due > 0) {
      this.later = setTimeout(() => this.refresh(), due);
      return;
    }
    this.refreshed = Date.now();
    const query = new URLSearchParams(this.dataset.query);
    query.set("since", new Date(new Date().setHours(0, 0, 0, 0)).toISOString());
    const response = await fetch(`/review/progress?${query}`).catch(() => null);
    if (!response?.ok) return;
    const progress = await response.json(), unsent = (await this.outbox.waiting()).length;
    this.find("left").textContent = Math.max(0, progress.left - unsent);
    this.find("today").textContent = progress.today + unsent;
    const navigation = document.getElementById("count-review");
    if (navigation) navigation.textContent = progress.open.toLocaleString("en");
    this.find("others").textContent = progress.others.length ? `Others today: ${progress.others.map(({ name, count }) => `${name} ${count}`).join(", ")}` : "";
  }
}

// Why there is no image although some are left; that there are none is what the page says anyway.
function reasonOf(text) {
  return !text || text.startsWith("no image") ? "" : `${text[0].toUpperCase()}${text.slice(1)}.`;
}

customElements.define("review-queue", ReviewQueue);
