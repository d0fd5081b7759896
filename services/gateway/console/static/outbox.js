// Sends the answers of a reviewer in their order, one at a time, and keeps each in the browser until the gateway has
// confirmed or refused it: neither a killed browser nor an outage loses one. Several tabs share the answers and a lock.
import { Kept } from "./kept.js";

const LOCK = "tidepool-reviews";
const LONGEST_PAUSE_S = 10;
const TIMEOUT_MS = 20_000;
export const SIGNED_OUT = "You are signed out, or signed in with another key or in another project";
export const REVIEWER_HEADER = "Tidepool-Reviewer"; // the gateway answers 401 if the browser is signed in as somebody else now

export class Outbox {
  // `reviewer` is a person in a project. `report` has waiting(count, why) with why in "", "outage", "signed-out", and refused(answer, status, detail).
  constructor(reviewer, report) {
    this.reviewer = reviewer;
    this.report = report;
    this.kept = new Kept("tidepool-reviews", "answers", { keyPath: "number", autoIncrement: true });
    addEventListener("online", () => this.send());
  }

  // Answers of others who reviewed in this browser stay until they sign in again.
  async waiting() {
    return (await this.kept.all()).filter((answer) => answer.reviewer === this.reviewer);
  }

  // Stores an answer { id, lease, says: { label } | { not_any } | { skip } }, begins to send it, and resolves once it is stored.
  async add(answer) {
    await this.kept.put({ ...answer, reviewer: this.reviewer });
    this.send();
  }

  // Withdraws the answer to an item if it is still here; resolves to whether it was.
  async withdraw(id) {
    return navigator.locks.request(LOCK, async () => {
      const answer = (await this.waiting()).find((waiting) => waiting.id === id);
      if (answer) await this.kept.delete(answer.number);
      return Boolean(answer);
    });
  }

  // Sends what waits; resolves when nothing waits, or when the reviewer must sign in.
  send() {
    this.wake?.();
    this.sending ??= this.sendAll().finally(() => { this.sending = null; });
    return this.sending;
  }

  async sendAll() {
    for (let failures = 0; ;) {
      const answers = await this.waiting();
      this.report.waiting(answers.length, failures ? "outage" : "");
      if (!answers.length) return;
      const outcome = await navigator.locks.request(LOCK, () => this.sendOne(answers[0]));
      if (outcome === "signed-out") return this.report.waiting(answers.length, outcome);
      failures = outcome === "outage" ? failures + 1 : 0;
      if (failures) {
        this.report.waiting(answers.length, outcome);
        await this.pause(Math.min(2 ** (failures - 1), LONGEST_PAUSE_S));
      }
    }
  }

  async sendOne(answer) {
    if (!(await this.kept.get(answer.number))) return ""; // sent by another tab, or withdrawn
    const body = JSON.stringify({ lease: answer.lease, ...answer.says });
    const response = await fetch(`/v1/reviews/${answer.id}`, {
      method: "POST", keepalive: true, headers: { "Content-Type": "application/json", [REVIEWER_HEADER]: answer.reviewer }, body, signal: AbortSignal.timeout(TIMEOUT_MS),
    }).catch(() => null);
    if (response === null || response.status >= 500 || [408, 425, 429].includes(response.status)) return "outage";
    if (response.status === 401) return "signed-out";
    await this.kept.delete(answer.number);
    if (!response.ok) this.report.refused(answer, response.status, (await response.json().catch(() => ({}))).detail ?? "");
    return "";
  }

  // Ends early when an answer is added or the network is back.
  pause(seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.wake = () => { clearTimeout(timer); resolve(); };
    });
  }
}
