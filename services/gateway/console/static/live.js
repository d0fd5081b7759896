// One event stream a page, at the address in <body data-live>; closed while the page is hidden.
// Each event is dispatched on the body as `live:<name>` with its data as `detail`, and `live:jobs-changed` when a job
// has begun or ended, for hx-trigger="live:jobs-changed from:body". An element that such an event refreshes keeps its place
// (hx-swap="innerHTML", the default): htmx drops an event that arrives during a request if the element is then replaced.

const JOB_EVENTS = ["state", "progress", "metrics", "log"];
const PAUSE_MS = 2000; // before connecting again after an error that the browser does not retry

let source = null;
let lastEvent = 0; // the number of the last event of the job that this page follows
let again = 0;
let liveJobs = null; // with their states
let shownJobs = 0; // in the page as it was sent

export function connect() {
  if (!document.body.dataset.live || !("EventSource" in window)) return;
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", () => document.hidden || open());
  shownJobs = Number.parseInt(document.querySelector("live-count")?.textContent) || 0;
  if (!document.hidden) open();
}

function open() {
  if (source) return;
  clearTimeout(again);
  const url = new URL(document.body.dataset.live, location.href);
  if (lastEvent) url.searchParams.set("after", lastEvent);
  source = new EventSource(url);
  const topics = url.searchParams.getAll("topic");
  for (const name of [...topics, ...JOB_EVENTS]) source.addEventListener(name, (event) => receive(name, event));
  source.addEventListener("signed-out", () => { close(); location.reload(); });
  source.addEventListener("error", () => {
    document.body.dataset.connection = "lost";
    if (source?.readyState !== EventSource.CLOSED) return;
    close();
    again = setTimeout(open, PAUSE_MS);
  });
  source.addEventListener("open", () => { document.body.dataset.connection = "live"; });
}

function close() {
  clearTimeout(again);
  source?.close();
  source = null;
}

function receive(name, event) {
  if (event.lastEventId) lastEvent = Math.max(lastEvent, Number(event.lastEventId));
  const detail = JSON.parse(event.data);
  dispatch(name, detail);
  if (name === "jobs") noteJobs(detail);
}

function noteJobs(jobs) {
  const states = jobs.map((job) => `${job.id} ${job.state}`).join();
  if (liveJobs === null ? jobs.length !== shownJobs : liveJobs !== states) dispatch("jobs-changed", jobs);
  liveJobs = states;
}

function dispatch(name, detail) {
  document.body.dispatchEvent(new CustomEvent(`live:${name}`, { detail }));
}
