// <try-it> around a form with a file input: an image that is dropped, pasted, chosen or taken is shown and sent at once.
class TryIt extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.input = this.querySelector('input[type="file"]');
    this.shown = this.querySelector(".shown");
    this.video = this.querySelector("video");
    this.camera = this.querySelector("[data-camera]");
    this.take = this.querySelector("[data-take]");
    this.problem = this.querySelector(".problem");
    for (const node of this.querySelectorAll(".scripted")) node.hidden = node === this.camera && !navigator.mediaDevices?.getUserMedia;
    this.querySelector(".unscripted").hidden = true;
    this.input.addEventListener("change", () => this.send(this.input.files[0]));
    if (this.input.files.length) this.send(this.input.files[0]); // chosen before this script was here
    this.camera.addEventListener("click", () => (this.stream ? this.stop() : this.start()));
    this.take.addEventListener("click", () => this.snap());
    this.form.addEventListener("htmx:responseError", (event) => this.complain(said(event.detail.xhr)));
    this.form.addEventListener("htmx:sendError", () => this.complain("Tidepool does not answer; try again."));
    this.form.addEventListener("htmx:beforeRequest", () => this.wait());
    this.form.addEventListener("htmx:afterRequest", () => document.getElementById("answers").removeAttribute("aria-busy"));
    this.listeners = { paste: (event) => this.offer(event, event.clipboardData), drop: (event) => this.offer(event, event.dataTransfer), dragover: (event) => this.hover(event, true), dragleave: (event) => this.hover(event, false) };
    for (const [name, listener] of Object.entries(this.listeners)) document.addEventListener(name, listener);
  }

  disconnectedCallback() {
    for (const [name, listener] of Object.entries(this.listeners)) document.removeEventListener(name, listener);
    this.stop();
  }

  hover(event, over) {
    if (event.type === "dragover") event.preventDefault(); // else the browser would open the file
    this.classList.toggle("over", over);
  }

  offer(event, data) {
    this.classList.remove("over");
    if (!data?.files.length) { if (event.type === "drop") event.preventDefault(); return; }
    event.preventDefault();
    this.send(data.files[0]);
  }

  send(file) {
    if (!file) return;
    this.stop();
    this.problem.hidden = true;
    const files = new DataTransfer();
    files.items.add(file);
    this.input.files = files.files;
    this.show(file);
    this.form.requestSubmit();
  }

  show(file) {
    if (this.shown.src) URL.revokeObjectURL(this.shown.src);
    this.shown.onerror = () => { this.shown.hidden = true; this.dataset.name = file.name; }; // a format that browsers do not show
    this.shown.src = URL.createObjectURL(file);
    this.shown.hidden = false;
    this.toggleAttribute("filled", true);
  }

  async start() {
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      const texts = { NotAllowedError: "The browser is not allowed to use the camera; allow it in the address bar.", NotFoundError: "There is no camera." };
      this.complain(texts[error.name] ?? "The camera did not start.");
      return;
    }
    this.video.srcObject = this.stream;
    this.video.hidden = false;
    this.shown.hidden = true;
    this.take.hidden = false;
    this.camera.textContent = "Stop the camera";
    this.toggleAttribute("filled", true);
    await this.video.play();
    this.take.focus();
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.hidden = true;
    this.take.hidden = true;
    this.camera.textContent = "Use the camera";
    if (this.shown.hidden) this.toggleAttribute("filled", Boolean(this.shown.src) && !this.shown.hidden);
  }

  snap() {
    const canvas = document.createElement("canvas");
    canvas.width = this.video.videoWidth;
    canvas.height = this.video.videoHeight;
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    canvas.toBlob((blob) => blob && this.send(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.92);
  }

  // The first answer after a quiet time takes seconds: a replica or the model has to start.
  wait() {
    const answers = document.getElementById("answers"), empty = answers.querySelector(".empty");
    answers.setAttribute("aria-busy", "true");
    if (!empty) return;
    empty.querySelector("h2").textContent = "The model looks at it …";
    empty.querySelector("p").textContent = "The first answer can take some seconds.";
  }

  complain(text) {
    this.problem.textContent = text;
    this.problem.hidden = false;
  }
}

// What a response says is wrong: the detail of a problem, or a sentence by its status.
function said(request) {
  try {
    const { detail, title } = JSON.parse(request.responseText), text = detail || title;
    if (text) return `${text[0].toUpperCase()}${text.slice(1)}.`;
  } catch { /* not a problem document */ }
  return request.status === 413 ? "The image is too large." : `Tidepool answered ${request.status}; try again.`;
}

customElements.define("try-it", TryIt);
