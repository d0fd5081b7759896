// Small custom elements. Each improves HTML that is complete without it.

const MINUTE = 60, HOUR = 3600, DAY = 86400;
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
const absolute = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });

// <local-time form="relative|absolute"><time datetime="…">: in the reader's zone; relative ones stay current.
class LocalTime extends HTMLElement {
  connectedCallback() {
    this.time = this.querySelector("time");
    if (!this.time) return;
    this.moment = new Date(this.time.dateTime);
    this.time.title = full.format(this.moment);
    this.show();
    if (this.getAttribute("form") === "relative") this.timer = setInterval(() => this.show(), 15_000);
  }

  disconnectedCallback() { clearInterval(this.timer); }

  show() {
    const text = this.getAttribute("form") === "relative" ? ago(this.moment) : absolute.format(this.moment);
    if (this.time.textContent !== text) this.time.textContent = text;
  }
}

function ago(moment) {
  const seconds = (Date.now() - moment) / 1000, size = Math.abs(seconds), sign = seconds > 0 ? "" : "in ", end = seconds > 0 ? " ago" : "";
  if (size < 10) return "just now";
  const [count, unit] = size < MINUTE ? [size, "s"] : size < HOUR ? [size / MINUTE, "min"] : size < DAY ? [size / HOUR, "h"] : [size / DAY, "d"];
  return `${sign}${Math.floor(count)} ${unit}${end}`;
}

// <live-count>: how many jobs are live, in the navigation.
class LiveCount extends HTMLElement {
  connectedCallback() {
    this.listen = (event) => { this.textContent = event.detail.length ? `${event.detail.length} live` : ""; };
    document.body.addEventListener("live:jobs", this.listen);
  }

  disconnectedCallback() { document.body.removeEventListener("live:jobs", this.listen); }
}

// <live-job job="id"> has a <progress> and an element with the class "message", and keeps both current.
class LiveJob extends HTMLElement {
  connectedCallback() {
    this.listen = (event) => {
      const job = event.detail.find((item) => item.id === this.getAttribute("job"));
      if (job) this.show(job.progress, job.progress_message);
    };
    document.body.addEventListener("live:jobs", this.listen);
  }

  disconnectedCallback() { document.body.removeEventListener("live:jobs", this.listen); }

  show(fraction, text) {
    const bar = this.querySelector("progress"), message = this.querySelector(".message"), percent = this.querySelector(".percent");
    if (bar) bar.value = fraction;
    if (message && message.textContent !== text) message.textContent = text;
    if (percent) percent.textContent = `${Math.floor(fraction * 100)}\u00a0%`;
  }
}

// <job-log>: appends the log lines and states of the job that the page follows, and stays at the end if it was there.
class JobLog extends HTMLElement {
  connectedCallback() {
    this.scrollTop = this.scrollHeight;
    this.listen = (event) => {
      const { at, data } = event.detail;
      const atEnd = this.scrollTop + this.clientHeight >= this.scrollHeight - 24;
      const line = document.createElement("div"), time = document.createElement("span");
      time.className = "faint";
      time.textContent = absolute.format(new Date(at));
      line.append(time, " ", data.message ?? `${data.state}${data.error ? `: ${data.error.message}` : ""}`);
      this.append(line);
      if (atEnd) this.scrollTop = this.scrollHeight;
    };
    for (const name of ["live:log", "live:state"]) document.body.addEventListener(name, this.listen);
  }

  disconnectedCallback() {
    for (const name of ["live:log", "live:state"]) document.body.removeEventListener(name, this.listen);
  }
}

// <theme-switch>: automatic, light, dark.
class ThemeSwitch extends HTMLElement {
  connectedCallback() {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button quiet small";
    this.replaceChildren(button);
    const names = ["auto", "light", "dark"];
    const show = () => {
      const theme = localStorage.getItem("theme") ?? "auto";
      button.textContent = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" }[theme];
      if (theme === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = theme;
    };
    button.addEventListener("click", () => {
      const following = names[(names.indexOf(localStorage.getItem("theme") ?? "auto") + 1) % names.length];
      if (following === "auto") localStorage.removeItem("theme");
      else localStorage.setItem("theme", following);
      show();
    });
    show();
  }
}

// <copy-text> around a <code> or <pre> and a button[data-copy].
class CopyText extends HTMLElement {
  connectedCallback() {
    const button = this.querySelector("[data-copy]");
    button?.addEventListener("click", async () => {
      const source = this.querySelector("code, pre, input");
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      const before = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = before; }, 1500);
    });
  }
}

for (const [name, kind] of Object.entries({ "local-time": LocalTime, "live-count": LiveCount, "live-job": LiveJob, "job-log": JobLog, "theme-switch": ThemeSwitch, "copy-text": CopyText })) {
  customElements.define(name, kind);
}
