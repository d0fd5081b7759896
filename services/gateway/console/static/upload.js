// <upload-form>: choose or drop an archive or a folder, send it with its progress, and go to the job. An upload that a
// reload has interrupted goes on by itself, with the same Idempotency-Key, so it never makes two versions.
import { forget, keep, kept } from "./kept.js";
import { Sending } from "./sending.js";
import { tarOf } from "./tar.js";

const ARCHIVE = /\.(zip|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz|zst))$/i;
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const HIDDEN = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/;

class UploadForm extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.find = (name) => this.querySelector(`[data-${name}]`);
    for (const kind of ["file", "folder"]) {
      const input = this.querySelector(`[data-input=${kind}]`);
      this.querySelector(`[data-pick=${kind}]`).addEventListener("click", () => input.click());
      const chosen = () => this.choose([...input.files].map((file) => [file.webkitRelativePath || file.name, file]));
      input.addEventListener("change", chosen);
      if (input.files.length) chosen(); // before this script was here
    }
    this.find("clear").addEventListener("click", () => this.choose([]));
    this.find("stop").addEventListener("click", () => this.stop());
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    this.listenForDrops();
    this.resume();
  }

  listenForDrops() {
    const zone = this.find("drop");
    for (const name of ["dragenter", "dragover"]) addEventListener(name, (event) => { event.preventDefault(); zone.classList.add("over"); });
    for (const name of ["dragleave", "drop"]) addEventListener(name, (event) => { if (name === "drop" || !event.relatedTarget) zone.classList.remove("over"); });
    addEventListener("drop", async (event) => {
      event.preventDefault();
      const items = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
      this.choose((await Promise.all(items.map((item) => filesOf(item)))).flat());
    });
  }

  choose(entries) {
    const files = entries.filter(([path]) => !HIDDEN.test(path));
    this.problem("");
    this.archive = this.key = null;
    if (files.length) {
      const [path, file] = files[0];
      const single = files.length === 1 && ARCHIVE.test(path);
      this.archive = single ? file : tarOf(files);
      this.filename = single ? file.name : `${root(files)}.tar`;
      this.find("name").textContent = single ? file.name : root(files);
      this.find("size").textContent = bytes(this.archive.size);
      this.find("summary").textContent = single ? "" : `${files.length.toLocaleString("en")} files${classesOf(files)}`;
      const field = this.form.elements.dataset;
      if (!field.value) field.value = nameOf(this.filename);
      if (this.archive.size > Number(this.getAttribute("most-bytes"))) this.problem(`That is ${bytes(this.archive.size)}, more than this instance accepts. Upload it in parts, as several versions, or ask its operator.`);
    }
    this.find("chosen").hidden = !files.length;
    this.find("drop").hidden = Boolean(files.length);
  }

  async send() {
    const name = this.form.elements.dataset.value.trim();
    if (!this.archive) return this.problem("Choose an archive or a folder first.");
    if (!NAME.test(name)) {
      this.form.elements.dataset.setAttribute("aria-invalid", "true");
      this.form.elements.dataset.focus();
      return this.problem("A name has 1 to 63 lower-case letters, digits, dots, hyphens and underscores, and begins with a letter or a digit.");
    }
    this.form.elements.dataset.removeAttribute("aria-invalid");
    const upload = { name, archive: this.archive, filename: this.filename, spec: this.spec(), key: this.key ?? crypto.randomUUID(), version: crypto.randomUUID() };
    let lasting = true;
    try { await keep(upload); } catch { lasting = false; } // no room: only a reload is lost
    this.transfer(upload, lasting);
  }

  async resume() {
    const upload = await kept().catch(() => null);
    if (!upload) return;
    this.form.elements.dataset.value = upload.name;
    this.find("name").textContent = upload.filename;
    this.find("size").textContent = bytes(upload.archive.size);
    this.find("chosen").hidden = false;
    this.find("drop").hidden = true;
    this.transfer(upload, true, "Continuing the upload");
  }

  async transfer(upload, lasting, status = "Sending") {
    this.upload = upload;
    this.sending(true);
    this.find("status").textContent = status;
    const started = performance.now();
    let first = null; // the bytes that were sent before the rate is measured
    const transfer = this.current = new Sending(upload, {
      progress: (sent, total) => {
        const seconds = (performance.now() - started) / 1000;
        this.progress(sent, total, seconds > 1 ? (sent - (first ??= sent)) / seconds : 0);
      },
      status: (text) => { this.find("status").textContent = text; },
    });
    const guard = (event) => event.preventDefault();
    if (!lasting) addEventListener("beforeunload", guard);
    try {
      const job = await transfer.run();
      removeEventListener("beforeunload", guard);
      if (job === null) return;
      await forget().catch(() => null);
      location.assign(`/jobs/${job}`);
    } catch (error) {
      removeEventListener("beforeunload", guard);
      this.fail(error.message);
    }
  }

  // The files stay chosen, and what was sent stays stored, for Upload to go on.
  async fail(text) {
    const { archive, filename, key } = this.upload;
    Object.assign(this, { archive, filename, key });
    this.sending(false);
    this.problem(text);
    await forget().catch(() => null);
  }

  async stop() {
    await this.current?.stop();
    if (this.upload) Object.assign(this, { archive: this.upload.archive, filename: this.upload.filename, key: null });
    this.sending(false);
    await forget().catch(() => null);
  }

  sending(active) {
    this.find("sending").hidden = !active;
    this.find("stop").hidden = !active;
    this.find("send").hidden = active;
    this.find("clear").hidden = active;
    if (active) this.problem("");
  }

  // `rate` is in bytes a second.
  progress(sent, total, rate) {
    const left = rate > 0 ? ` · ${Math.ceil((total - sent) / rate)} s left` : "";
    this.find("progress").value = sent / total;
    this.find("percent").textContent = `${Math.floor((sent / total) * 100)}\u00a0%`;
    this.find("bytes").textContent = `${bytes(sent)} of ${bytes(total)}${sent < total ? left : ""}`;
  }

  problem(text) {
    this.find("problem").textContent = text;
    this.find("problem").hidden = !text;
  }

  spec() {
    const value = (name) => this.form.elements[name].value.trim();
    const filled = (fields) => Object.fromEntries(Object.entries(fields).filter(([, entry]) => entry !== ""));
    const whole = (text) => (/^\d+$/.test(text) ? Number(text) : text);
    const side = value("side"), test = value("test");
    const split = filled({ group_by: whole(value("group_by")) });
    if (test) Object.assign(split, { test: Number(test), val: Number(test), train: Math.round((1 - 2 * Number(test)) * 1e6) / 1e6 });
    return {
      image: filled({ size: side && [Number(side), Number(side)], mode: value("mode"), resize: value("resize") }),
      layout: filled({ class_level: whole(value("class_level")), label_column: value("label_column"), path_column: value("path_column") }),
      split,
    };
  }
}

// All files below a dropped folder as [path, File].
async function filesOf(entry, folder = "") {
  if (entry.isFile) return [[folder + entry.name, await new Promise((resolve, reject) => entry.file(resolve, reject))]];
  const reader = entry.createReader(), children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    children.push(...some);
  }
  return (await Promise.all(children.map((child) => filesOf(child, `${folder}${entry.name}/`)))).flat();
}

const root = (files) => (files[0][0].includes("/") ? files[0][0].split("/")[0] : "files");
const nameOf = (filename) => filename.replace(ARCHIVE, "").toLowerCase().replace(/[^a-z0-9._-]+/g, "-").replace(/^[^a-z0-9]+/, "").slice(0, 63);

// ", in 3 folders: cat, dog, bird", from the folders that hold files.
function classesOf(files) {
  const folders = [...new Set(files.map(([path]) => path.split("/").slice(0, -1).pop()).filter(Boolean))];
  if (!folders.length) return "";
  return `, in ${folders.length} folder${folders.length === 1 ? "" : "s"}: ${folders.slice(0, 6).join(", ")}${folders.length > 6 ? ", …" : ""}`;
}

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return `${count.toFixed(unit && count < 100 ? 1 : 0)}\u00a0${units[unit]}`;
}

customElements.define("upload-form", UploadForm);
