// The items that this page holds: it asks for more while few are left, loads their images, extends their leases while a
// person is here, and gives them back when it closes.
import { REVIEWER_HEADER, SIGNED_OUT } from "./outbox.js";

const COUNT = 6; // the image that shows, and five ahead
const FEW = 4; // at which it asks for more
const EXTEND_MS = 40_000; // a third of a lease
const IDLE_MS = 10 * 60_000; // without a key or a touch, after which the leases run out
const SOON_MS = 1_000, LATER_MS = 5_000; // until it asks again while the queue is empty or does not answer
const TIMEOUT_MS = 20_000, IMAGE_TIMEOUT_MS = 60_000; // of a request, and of one for an image, which may be large
const TRIES = 30; // to load an image, while the gateway answers with an error

export class Leases {
  // `query` narrows the queue, such as "model=pets"; `call` sends requests; `report` has changed(), lost(item),
  // problem(text), and sent(), which resolves when the gateway has the answers that this browser keeps, or is slow to take them.
  constructor(query, call, report) {
    Object.assign(this, { query, call, report });
    this.entries = []; // { item, image, errors, late, broken }: the image is slow or has failed to load, or cannot be shown at all
    this.created = []; // classes that were made here: { id of the item, subject, label }
    this.empty = false;
    this.active = Date.now();
    this.listeners = [
      [document, "keydown", () => this.touch()],
      [document, "pointerdown", () => this.touch()],
      [document, "visibilitychange", () => { if (!document.hidden) { this.touch(); this.extend(); this.fill(); } }],
      [window, "pagehide", () => this.release()],
      [window, "pageshow", (event) => { if (event.persisted) location.reload(); }],
    ];
  }

  start() {
    for (const [target, name, listener] of this.listeners) target.addEventListener(name, listener);
    this.timer = setInterval(() => { if (Date.now() - this.active < IDLE_MS) this.extend(); }, EXTEND_MS);
    this.fill();
  }

  stop() {
    this.stopped = true;
    clearInterval(this.timer);
    clearTimeout(this.again);
    for (const [target, name, listener] of this.listeners) target.removeEventListener(name, listener);
    this.release();
  }

  touch() { this.active = Date.now(); }

  // The entry to show, once its image is here. An image that is slow or fails to load does not hold up the others.
  get first() {
    const entry = this.entries.find(({ image, late, broken }) => image || broken || !late);
    return entry?.image || entry?.broken ? entry : null;
  }

  // The addresses of the images that are here, except that of an item.
  ahead(shown) { return this.entries.flatMap(({ item, image }) => (image && item.id !== shown?.id ? [image.src] : [])); }

  classesOf(item) {
    const created = this.created.filter(({ subject }) => subject === subjectOf(item)).map(({ label }) => label);
    return [...new Set([...item.classes, ...created])];
  }

  // Lets a class that was made here be chosen for the next images.
  create(item, label) { this.created.push({ id: item.id, subject: subjectOf(item), label }); }

  // Takes back the class that was made by the answer to an item, also from what the gateway has sent meanwhile.
  uncreate({ id }) {
    const undone = this.created.filter((made) => made.id === id);
    this.created = this.created.filter((made) => made.id !== id);
    for (const { subject, label } of undone) {
      for (const { item } of this.entries) if (subjectOf(item) === subject) item.classes = item.classes.filter((name) => name !== label);
    }
  }

  async fill() {
    if (this.filling || this.stopped || this.entries.length > FEW) return;
    this.filling = true;
    clearTimeout(this.again);
    let pause = LATER_MS;
    const before = this.entries.length;
    try {
      if (!before) await this.report.sent(); // or else the gateway says that this reviewer holds what is left
      const { items, reason } = await this.call("GET", `next?count=${COUNT - before}${this.query && `&${this.query}`}`);
      if (this.stopped) return items.forEach((item) => this.giveBack(item));
      for (const item of items) this.put(item, this.entries.length);
      this.empty = !before && !this.entries.length;
      this.reason = reason ?? "";
      if (items.length) pause = 0;
      else if (before && !this.entries.length) pause = 1; // the last one was answered meanwhile, so the reason is another one
      else if (!this.asked) pause = SOON_MS; // another page of this browser may be giving its items back
      this.asked = true;
      this.report.problem("");
    } catch (error) {
      if (this.stopped) return;
      this.report.problem(error.message, error.status);
    }
    this.filling = false;
    if (pause) this.again = setTimeout(() => this.fill(), pause);
    this.report.changed();
  }

  // Puts an item into its place, and loads its image.
  async put(item, place) {
    const entry = { item, image: null, errors: 0 };
    this.entries.splice(place, 0, entry);
    this.empty = false;
    setTimeout(() => { entry.late = true; if (!entry.image) this.report.changed(); }, LATER_MS);
    while (!entry.image && !entry.broken && this.entries.includes(entry)) {
      try {
        const image = new Image();
        image.src = URL.createObjectURL(await this.call("GET", `${item.id}/image`, { form: "blob" }));
        await image.decode();
        entry.image = image;
        this.report.changed();
      } catch (error) {
        if (!this.entries.includes(entry)) return;
        if (error.status >= 500) entry.errors += 1;
        const outcome = await this.outcomeOf(entry, error);
        if (outcome === "gone") return this.lose(entry);
        entry[outcome] = true;
        this.report.changed();
        if (!entry.broken) await new Promise((resolve) => setTimeout(resolve, SOON_MS));
      }
    }
  }

  // Returns what a failure means: "late" if another try may succeed, "broken" if a person has to skip the image, or "gone".
  async outcomeOf(entry, { status, code, again }) {
    if (status === undefined || code === "corrupt") return "broken"; // the browser cannot decode it, or the file is damaged
    if (again || status === 401) return entry.errors < TRIES ? "late" : "gone"; // its lease runs out, for others to try
    return this.call("POST", `${entry.item.id}/lease`, { body: { lease: entry.item.lease } }).then(() => "broken", (error) => (error.again ? "late" : "gone"));
  }

  lose(entry) {
    this.remove(entry.item);
    this.report.lost(entry.item);
  }

  remove(item) {
    const entry = this.entries.find((other) => other.item.id === item.id);
    if (!entry) return;
    this.entries = this.entries.filter((other) => other !== entry);
    if (entry.image) setTimeout(() => URL.revokeObjectURL(entry.image.src), LATER_MS); // it may show for a moment
    this.fill();
  }

  extend() {
    for (const entry of this.entries) {
      this.call("POST", `${entry.item.id}/lease`, { body: { lease: entry.item.lease } }).catch((error) => { if ([404, 409].includes(error.status)) this.lose(entry); });
    }
  }

  // Gives the items back; the browser sends this although the page goes.
  release() {
    for (const { item } of this.entries) this.giveBack(item);
    this.entries = [];
  }

  giveBack({ id, lease }) { this.call("POST", `${id}/lease`, { body: { lease, seconds: 0 }, keepalive: true }).catch(() => null); }
}

const subjectOf = (item) => item.dataset ?? item.model;

// Returns a function that sends requests of a reviewer. It resolves to the body of the response; it rejects with a message for
// people, the status (0 without a response), the code of the error, and whether the same request may succeed `again`.
export function caller(reviewer) {
  return async (method, path, { body, form = "json", keepalive = false, headers = {} } = {}) => {
    const sent = { [REVIEWER_HEADER]: reviewer, ...(body && { "Content-Type": "application/json" }), ...headers };
    const response = await fetch(`/v1/reviews/${path}`, { method, keepalive, headers: sent, body: body && JSON.stringify(body), signal: AbortSignal.timeout(form === "json" ? TIMEOUT_MS : IMAGE_TIMEOUT_MS) }).catch(() => null);
    const content = response?.ok ? await response[form]().catch(() => undefined) : undefined; // without, the connection broke
    if (content !== undefined) return content;
    const status = response?.ok ? 0 : response?.status ?? 0, again = status === 0 || status >= 500 || status === 429;
    const { detail = "that did not work", code } = (await response?.json().catch(() => null)) ?? {};
    const message = again ? "Tidepool does not answer; trying again." : status === 401 ? `${SIGNED_OUT}.` : `${detail[0].toUpperCase()}${detail.slice(1)}.`;
    throw Object.assign(new Error(message), { status, code, again });
  };
}
