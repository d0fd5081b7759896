// <tab-panels> with <section aria-label="Name"> children: shows one at a time, chosen by tabs above them.
// data-origin is the server's guess of the address in the texts; the browser knows it better, behind a proxy for example.
class TabPanels extends HTMLElement {
  connectedCallback() {
    if (this.list) return;
    this.correct(this.dataset.origin);
    this.panels = [...this.children];
    this.list = document.createElement("div");
    this.list.setAttribute("role", "tablist");
    this.tabs = this.panels.map((panel, index) => this.tab(panel, index));
    this.list.append(...this.tabs);
    this.prepend(this.list);
    this.show(Math.max(0, this.panels.findIndex((panel) => panel.getAttribute("aria-label") === localStorage.getItem("tab"))));
  }

  tab(panel, index) {
    const tab = document.createElement("button"), name = panel.getAttribute("aria-label");
    Object.assign(tab, { type: "button", textContent: name, id: `tab-${name}` });
    tab.setAttribute("role", "tab");
    panel.setAttribute("role", "tabpanel");
    tab.addEventListener("click", () => { localStorage.setItem("tab", name); this.show(index); });
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = (index + step + this.panels.length) % this.panels.length;
      this.show(next);
      this.tabs[next].focus();
    });
    return tab;
  }

  show(chosen) {
    this.panels.forEach((panel, index) => {
      panel.hidden = index !== chosen;
      this.tabs[index].setAttribute("aria-selected", String(index === chosen));
      this.tabs[index].tabIndex = index === chosen ? 0 : -1;
    });
  }

  correct(guess) {
    if (!guess || guess === location.origin) return;
    for (const text of this.querySelectorAll("pre")) text.textContent = text.textContent.replaceAll(guess, location.origin);
  }
}

customElements.define("tab-panels", TabPanels);
