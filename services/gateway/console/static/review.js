// <review-queue>: one image after the other, by keyboard, mouse or touch. The next images are loaded while the reviewer looks
// at this one, an answer is stored in the browser before the next image shows, and is sent in the background.
import { Choices, percent } from "./choices.js";
import { Leases } from "./leases.js";
import { Outbox } from "./outbox.js";

const PACE_ANSWERS = 30; // the last answers, of which the pace is measured
const PACE_PAUSE_MS = 60_000; // a longer pause begins a new measurement

class ReviewQueue extends HTMLElement {
  connectedCallback() {
    this.find = (name) => this.querySelector(`[data-${name}]`);
    this.item = null; // the item that shows
    this.given = []; // the items that were answered on this page, for undo; the last one is the newest
    this.times = [];
    this.choices = new Choices(this, (label) => this.answer({ label }, label));
    this.leases = new Leases(this.dataset.query, { changed: () => this.advance(), lost: (item) => this.lost(item), problem: (text) => this.say("outage", text) });
    this.outbox = new Outbox(this.dataset.reviewer, { waiting: (count, why) => this.waiting(count, why), refused: (...details) => this.refused(...details) });
    this.actions = { accept: () => this.accept(), skip: () => this.answer({ skip: true }, "skipped"), none: () => this.answer({ not_any: true }, "none of the classes"), undo: () => this.undo(), keys: () => this.find("help").showModal() };
    for (const [name, action] of Object.entries(this.actions)) this.find(name).addEventListener("click", (event) => { action(); if (event.detail) event.currentTarget.blur(); });
    this.onKey = (event) => this.key(event);
    document.addEventListener("keydown", this.onKey);
    this.start();
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.onKey);
    this.leases.stop();
  }

  async start() {
    await this.outbox.send(); // what an earlier page left; its items would come again
    this.leases.start();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, select, textarea")) return;
    if (event.key === "Enter" && event.target.closest("button, a, summary")) return;
    const name = { Enter: "accept", s: "skip", x: "none", z: "undo", "?": "keys" }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (name) this.actions[name]();
    else if (/^[1-9]$/.test(event.key)) this.choices.digit(Number(event.key));
    else return;
    event.preventDefault();
  }

  accept() {
    const label = this.item?.guess[0]?.[0] ?? this.item?.label_now;
    if (label) this.answer({ label }, label);
  }

  async answer(says, words) {
    const item = this.item;
    if (!item) return; // the next image is not here yet: nobody answers what they have not seen
    this.item = null;
    try {
      await this.outbox.add({ id: item.id, lease: item.lease, says });
    } catch {
      this.item = item;
      return this.say("outage", "This browser does not store the answer; free some space, or leave its private mode.");
    }
    this.leases.remove(item);
    this.leases.know(item, says.label);
    this.given.push(item);
    this.count(1);
    this.find("said").textContent = `Answered: ${words}.`;
    this.advance();
  }

  // Shows the next item once its image is here.
  advance() {
    if (this.item) return;
    const { item, image, classes } = this.leases.first() ?? {};
    this.find("stage").toggleAttribute("aria-busy", !item);
    this.find("work").hidden = this.leases.empty;
    this.find("empty").hidden = !this.leases.empty;
    this.previews();
    if (!item) return;
    this.item = item;
    const inside = this.find("options").contains(document.activeElement);
    image.alt = "The image under review";
    this.find("stage").replaceChildren(image);
    this.choices.show(item, classes);
    this.describe(item);
    if (inside) this.find("question").focus({ preventScroll: true }); // its button is gone
  }

  describe(item) {
    const { source, guess, label_now: now } = item;
    const best = guess[0]?.[0];
    this.find("question").textContent = now ? `Is this “${now}”?` : "What is this?";
    this.find("origin").textContent = [item.dataset ?? [item.model, item.alias].filter(Boolean).join("@"), this.find("sources").content.querySelector(`[data-source=${source}]`)?.textContent].filter(Boolean).join(" · ");
    this.find("accept").disabled = !(best ?? now);
    this.find("accepts").textContent = best ? (now === best ? "Keep" : "Accept") : now ? "Keep" : "Accept";
    this.find("said").textContent += ` ${this.find("question").textContent} ${best ? `The model's guess: ${best}, ${percent(guess[0][1])}.` : ""}`;
  }

  previews() {
    const images = this.leases.ahead().map(({ image }) => image?.src);
    this.find("ahead").replaceChildren(...images.filter(Boolean).map((address) => Object.assign(new Image(), { src: address, alt: "" })));
  }

  async undo() {
    const item = this.given.pop();
    try {
      const undone = item && (await this.outbox.withdraw(item.id)) ? item : await this.leases.undo();
      this.leases.insert(undone);
    } catch (error) {
      if (item) this.given.push(item);
      return this.say("problem", error.message);
    }
    this.count(-1);
    this.item = null;
    this.find("said").textContent = "Undone.";
    this.advance();
  }

  // The number of answers today, what is left, and the pace.
  count(change) {
    const now = performance.now();
    if (now - this.times.at(-1) > PACE_PAUSE_MS) this.times = [];
    if (change > 0) this.times = [...this.times, now].slice(-PACE_ANSWERS);
    for (const [name, by] of [["today", change], ["left", -change]]) {
      const node = this.find(name);
      node.textContent = String(Math.max(0, Number(node.textContent) + by));
    }
    const [first, count] = [this.times[0], this.times.length];
    this.find("pace").hidden = count < 5;
    if (count >= 5) this.find("pace").textContent = `${Math.round(((count - 1) * 60_000) / (now - first))} a minute`;
  }

  waiting(count, why) {
    const text = { outage: "Tidepool does not answer. ", "signed-out": "You are signed out. " }[why] ?? "";
    this.say("outage", why ? `${text}${count === 1 ? "One answer is" : `${count} answers are`} kept in this browser and ${why === "outage" ? "will be sent when it is back" : "sent when you sign in again"}.` : "");
    this.find("sign-in").hidden = why !== "signed-out";
    if (!count && !why) this.refresh();
  }

  refused(answer, status, detail) {
    const index = this.given.findIndex((item) => item.id === answer.id);
    const [item] = index < 0 ? [] : this.given.splice(index, 1);
    this.count(-1);
    if (status === 409 || status === 404) return this.say("problem", "An answer came too late: its image was answered by somebody else, or is gone.");
    this.say("problem", `An answer was refused: ${detail}.`);
    if (!item) return;
    this.leases.insert(item);
    this.item = null;
    this.advance();
  }

  lost(item) {
    if (item !== this.item) return;
    this.item = null;
    this.find("said").textContent = "That image is gone; this is the next one.";
    this.advance();
  }

  say(name, text) {
    const node = this.find(name);
    node.hidden = !text;
    if (node.firstElementChild.textContent !== text) node.firstElementChild.textContent = text;
  }

  // What others have done meanwhile.
  async refresh() {
    const now = performance.now();
    if (now - (this.refreshed ?? -1e9) < 10_000) return;
    this.refreshed = now;
    const response = await fetch("/review/progress").catch(() => null);
    if (!response?.ok) return;
    const progress = await response.json(), waiting = (await this.outbox.waiting()).length;
    this.find("left").textContent = String(Math.max(0, progress.left - waiting));
    this.find("today").textContent = String(progress.today + waiting);
    this.find("kappa").hidden = progress.kappa === null;
    if (progress.kappa !== null) this.find("kappa").textContent = `agreement κ ${progress.kappa.toFixed(2)}`;
  }
}

customElements.define("review-queue", ReviewQueue);
