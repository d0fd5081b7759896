// The items that this page holds: it asks for more while few are left, loads their images, extends their leases while a
// person is here, and gives them back when it closes.

const COUNT = 6; // the image that shows, and five ahead
const FEW = 4; // at which it asks for more
const EXTEND_MS = 40_000; // a third of a lease
const IDLE_MS = 10 * 60_000; // without a key or a touch, after which the leases run out
const SOON_MS = 1_000, LATER_MS = 5_000; // until it asks again while the queue is empty or does not answer

export class Leases {
  // `query` narrows the queue, such as "model=pets"; `report` has changed(), lost(item) and problem(text).
  constructor(query, report) {
    Object.assign(this, { query, report });
    this.entries = []; // { item, image }; the first one shows, or is the next to show
    this.created = new Map(); // classes that were made here, by model or dataset
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
    clearInterval(this.timer);
    clearTimeout(this.again);
    for (const [target, name, listener] of this.listeners) target.removeEventListener(name, listener);
    this.release();
  }

  touch() { this.active = Date.now(); }

  // The entry to show, once its image is here.
  get first() { return this.entries[0]?.image ? this.entries[0] : null; }

  get ahead() { return this.entries.slice(1).flatMap(({ image }) => (image ? [image.src] : [])); }

  classesOf(item) { return [...new Set([...item.classes, ...(this.created.get(subjectOf(item)) ?? [])])]; }

  // Lets a class that was made here be chosen for the next images.
  create(item, label) {
    const subject = subjectOf(item);
    this.created.set(subject, [...(this.created.get(subject) ?? []), label]);
  }

  async fill() {
    if (this.filling || this.entries.length > FEW) return;
    this.filling = true;
    clearTimeout(this.again);
    let pause = LATER_MS;
    try {
      const { items, reason } = await call("GET", `next?count=${COUNT - this.entries.length}${this.query && `&${this.query}`}`);
      for (const item of items) this.put(item, this.entries.length);
      this.empty = !this.entries.length;
      this.reason = reason ?? "";
      if (items.length) pause = 0;
      else if (!this.asked) pause = SOON_MS; // another page of this browser may be giving its items back
      this.asked = true;
      this.report.problem("");
    } catch (error) {
      this.report.problem(error.message, error.status);
    }
    this.filling = false;
    if (pause) this.again = setTimeout(() => this.fill(), pause);
    this.report.changed();
  }

  // Puts an item into its place, and loads its image.
  async put(item, place) {
    const entry = { item, image: null };
    this.entries.splice(place, 0, entry);
    this.empty = false;
    while (!entry.image && this.entries.includes(entry)) {
      try {
        const image = new Image();
        image.src = URL.createObjectURL(await call("GET", `${item.id}/image`, { form: "blob" }));
        await image.decode();
        entry.image = image;
        this.report.changed();
      } catch (error) {
        if (error.again) await new Promise((resolve) => setTimeout(resolve, SOON_MS));
        else this.lose(entry);
      }
    }
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
      call("POST", `${entry.item.id}/lease`, { body: { lease: entry.item.lease } }).catch((error) => { if ([404, 409].includes(error.status)) this.lose(entry); });
    }
  }

  // Gives the items back; the browser sends this although the page goes.
  release() {
    for (const { item } of this.entries) call("POST", `${item.id}/lease`, { body: { lease: item.lease, seconds: 0 }, keepalive: true }).catch(() => null);
    this.entries = [];
  }
}

const subjectOf = (item) => item.dataset ?? item.model;

// Resolves to the body of the response. Rejects with a message for people, the status (0 without a response), and whether
// the same request may succeed `again`.
export async function call(method, path, { body, form = "json", keepalive = false } = {}) {
  const options = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(`/v1/reviews/${path}`, { method, keepalive, ...options }).catch(() => null);
  if (response?.ok) return response[form]();
  const status = response?.status ?? 0, again = status === 0 || status >= 500 || status === 429;
  const detail = (await response?.json().catch(() => null))?.detail ?? "that did not work";
  const message = again ? "Tidepool does not answer; trying again." : status === 401 ? "You are signed out." : `${detail[0].toUpperCase()}${detail.slice(1)}.`;
  throw Object.assign(new Error(message), { status, again });
}
