// <live-pool pool="name">: keeps the elements with a data-field current; a new desired size is the event `pool-changed`.
class LivePool extends HTMLElement {
  connectedCallback() {
    this.listen = (event) => {
      const numbers = event.detail.find((one) => one.pool === this.getAttribute("pool"));
      if (numbers) this.show(numbers);
    };
    document.body.addEventListener("live:pools", this.listen);
  }

  disconnectedCallback() { document.body.removeEventListener("live:pools", this.listen); }

  show(numbers) {
    for (const node of this.querySelectorAll("[data-field]")) {
      const value = numbers[node.dataset.field], text = value === null ? "–" : value.toLocaleString("en");
      if (node.textContent !== text) node.textContent = text;
    }
    if (this.desired !== undefined && this.desired !== numbers.desired) this.dispatchEvent(new CustomEvent("pool-changed"));
    this.desired = numbers.desired;
  }
}

// <pool-bounds> around the form of a pool: shows the fields of the chosen mode, and keeps the bounds in order.
class PoolBounds extends HTMLElement {
  connectedCallback() {
    const form = this.querySelector("form");
    form.addEventListener("input", (event) => this.follow(event.target));
    this.follow(form);
  }

  follow(changed) {
    const mode = this.querySelector('[name="mode"]:checked')?.value;
    for (const node of this.querySelectorAll("[data-mode]")) node.hidden = node.dataset.mode !== mode;
    const [min, max] = ["min", "max"].map((name) => this.querySelector(`[name="${name}"]`));
    if (Number(min.value) > Number(max.value)) (changed === min ? max : min).value = changed.value ?? max.value;
    for (const range of this.querySelectorAll('input[type="range"]')) range.nextElementSibling.textContent = range.value;
  }
}

customElements.define("live-pool", LivePool);
customElements.define("pool-bounds", PoolBounds);
