// Sends an archive to the API and makes a version of it. A large one goes in parts: what a reload or a lost connection has
// interrupted goes on with the parts that are not stored.

const IN_PARTS = 16 << 20; // bytes; a smaller archive is one request
const RETRIES = 5;
const LOST = "The connection was lost. Check it and press Upload again; what was sent stays for a day.";

// An answer of the gateway that no repetition changes; the message is for the person.
export class Refused extends Error {
  constructor(message, status) { super(message); this.status = status; }
}

export class Sending {
  // `upload` is { name, archive, filename, spec, key, version }, with idempotency keys of the upload and of the version;
  // `report` has progress(sent, total) and status(text).
  constructor(upload, report) {
    this.upload = { ...upload, version: upload.version ?? upload.key }; // an older page kept no version
    this.report = report;
  }

  // Returns the job's id, or null after `stop`.
  async run() {
    try {
      return await (this.upload.archive.size > IN_PARTS ? this.inParts() : this.whole());
    } catch (error) {
      if (this.stopped) return null;
      throw error;
    }
  }

  async stop() {
    this.stopped = true;
    this.request?.abort();
    if (this.id) await fetch(`/v1/uploads/${this.id}`, { method: "DELETE" }).catch(() => null);
  }

  async whole() {
    const { archive, filename, spec, version } = this.upload;
    const body = new FormData();
    body.append("archive", new File([archive], filename));
    body.append("spec", new Blob([JSON.stringify(spec)], { type: "application/json" }));
    const { id } = await this.send("POST", this.versions, body, { "Idempotency-Key": version }, (sent, total) => this.progress(sent, total));
    return id;
  }

  async inParts() {
    const { archive, spec, key, version } = this.upload;
    const stored = await this.announced(key).catch((error) => {
      if (error.status === 404) return this.announced(`${key}-again`); // deleted, because a day has passed
      throw error;
    });
    const id = this.id;
    const numbers = new Set(stored.parts.map((part) => part.number)), size = stored.part_size;
    let before = stored.parts.reduce((sum, part) => sum + part.size, 0); // bytes
    if (!stored.complete) {
      this.progress(before, archive.size);
      for (let number = 1; (number - 1) * size < archive.size; number += 1) {
        if (numbers.has(number)) continue;
        const part = archive.slice((number - 1) * size, number * size);
        await this.send("PUT", `/v1/uploads/${id}/parts/${number}`, part, { "Content-Type": "application/octet-stream" }, (sent) => this.progress(before + sent, archive.size));
        before += part.size;
      }
      this.report.status("Storing");
      await this.json("POST", `/v1/uploads/${id}/complete`);
    }
    const job = await this.json("POST", this.versions, { source: { upload: id }, ...spec }, version);
    return job.id;
  }

  // Announces the upload, unless that was done before; returns what of it is stored.
  async announced(key) {
    const { archive, filename } = this.upload;
    const upload = await this.json("POST", "/v1/uploads", { filename, size: archive.size }, key);
    this.id = upload.id;
    return this.json("GET", `/v1/uploads/${upload.id}/parts`);
  }

  get versions() {
    return `/v1/datasets/${encodeURIComponent(this.upload.name)}/versions`;
  }

  progress(sent, total) {
    this.report.progress(sent, total);
    if (sent >= total) this.report.status("Storing");
  }

  json(method, path, value, key) {
    const headers = key ? { "Idempotency-Key": key } : {};
    if (value === undefined) return this.send(method, path, null, headers);
    return this.send(method, path, JSON.stringify(value), { ...headers, "Content-Type": "application/json" });
  }

  // Returns the JSON of a successful response; tries again if the connection is lost or the gateway has no room.
  async send(method, path, body, headers, progress) {
    for (let attempt = 0; ; attempt += 1) {
      const { status, text, seconds } = await this.once(method, path, body, headers, progress);
      if (this.stopped) throw new Error("stopped");
      if (status >= 200 && status < 300) return text ? JSON.parse(text) : null;
      const again = status === 0 || status === 408 || status >= 500 || (status === 429 && seconds <= 60);
      if (!again || attempt >= RETRIES) throw new Refused(status ? detailOf(text) : LOST, status);
      this.report.status(status ? "The gateway is busy; trying again" : "The connection was lost; trying again");
      await new Promise((resolve) => setTimeout(resolve, 1000 * (seconds || 2 ** attempt)));
      if (this.stopped) throw new Error("stopped");
      this.report.status("Sending");
    }
  }

  // Resolves to { status, text, seconds }; a status of 0 means that the connection was lost.
  once(method, path, body, headers, progress) {
    return new Promise((resolve) => {
      const request = this.request = new XMLHttpRequest();
      request.open(method, path);
      request.setRequestHeader("Accept", "application/json");
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      if (progress) request.upload.addEventListener("progress", (event) => progress(event.loaded, event.total));
      request.addEventListener("loadend", () => resolve({
        status: request.status, text: request.responseText, seconds: request.status ? Number(request.getResponseHeader("Retry-After")) : 0,
      }));
      request.send(body);
    });
  }
}

function detailOf(text) {
  let detail = "the gateway did not accept it; try again soon.";
  try { detail = JSON.parse(text).detail; } catch { /* not from the gateway */ }
  return `${detail[0].toUpperCase()}${detail.slice(1)}`;
}
