// <traffic-split> around a form of ranges that add up to 100: moving one takes from the others, or gives to them.
class TrafficSplit extends HTMLElement {
  connectedCallback() {
    this.ranges = [...this.querySelectorAll('input[type="range"]')];
    for (const range of this.ranges) range.addEventListener("input", () => this.balance(range));
    for (const button of this.querySelectorAll("[data-all]")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        const range = this.ranges.find((one) => one.dataset.version === button.dataset.all);
        range.value = 100;
        this.balance(range);
      });
    }
    if (this.ranges.length === 1) this.ranges[0].disabled = false;
  }

  balance(moved) {
    const others = this.ranges.filter((range) => range !== moved);
    if (!others.length) moved.value = 100;
    const left = 100 - Number(moved.value), sum = others.reduce((total, range) => total + Number(range.value), 0);
    let rest = left;
    others.forEach((range, index) => {
      const share = index === others.length - 1 ? rest : sum ? Math.round(Number(range.value) / sum * left) : (index === 0 ? left : 0);
      range.value = Math.min(share, rest);
      rest -= Number(range.value);
    });
    this.show();
  }

  show() {
    let x = 0;
    for (const range of this.ranges) {
      range.nextElementSibling.textContent = `${range.value} %`;
      const bar = this.querySelector(`rect[data-version="${range.dataset.version}"]`);
      bar.setAttribute("x", `${x}%`);
      bar.setAttribute("width", `${range.value}%`);
      x += Number(range.value);
    }
  }
}

customElements.define("traffic-split", TrafficSplit);
