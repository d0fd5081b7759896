// <line-chart series="train_loss:Training:ink,val_loss:Validation:tide" x="epoch"> with its points so far as JSON in a
// <script type="application/json"> child. Later points come as `live:metrics` events and are appended to the paths;
// a change of scale moves the paths by a transform, so nothing is drawn again.

const NS = "http://www.w3.org/2000/svg";
const HEIGHT = 180, LEFT = 40, BOTTOM = 22, TOP = 8;
const MOST = 2000; // points of a path

class LineChart extends HTMLElement {
  connectedCallback() {
    this.x = this.getAttribute("x") ?? "epoch";
    this.series = this.getAttribute("series").split(",").map((text) => {
      const [field, label, tone] = text.split(":");
      return { field, label, tone, points: [] };
    });
    this.build();
    const data = this.querySelector('script[type="application/json"]');
    for (const point of data ? JSON.parse(data.textContent) : []) this.add(point);
    this.scale();
    this.listen = (event) => { this.add(event.detail.data); this.scale(); };
    this.observer = new ResizeObserver(() => this.scale());
    this.observer.observe(this);
    if (this.hasAttribute("live")) document.body.addEventListener("live:metrics", this.listen);
  }

  disconnectedCallback() { this.observer.disconnect(); document.body.removeEventListener("live:metrics", this.listen); }

  build() {
    this.svg = element("svg", { class: "chart", height: HEIGHT, role: "img", "aria-label": this.getAttribute("label") ?? "" });
    this.rules = element("g", {});
    this.svg.append(this.rules);
    for (const series of this.series) {
      series.path = element("path", { class: `tone-${series.tone}`, d: "" });
      this.svg.append(series.path);
    }
    this.append(this.svg);
  }

  add(point) {
    const x = Number(point[this.x]);
    if (!Number.isFinite(x)) return;
    for (const series of this.series) {
      const y = point[series.field], last = series.points.at(-1);
      if (typeof y !== "number" || !Number.isFinite(y) || series.points.length >= MOST || (last && last[0] >= x)) continue;
      series.points.push([x, y]);
      // in the units of the data; y grows upward through the transform
      series.path.setAttribute("d", `${series.path.getAttribute("d")}${last ? "L" : "M"}${x} ${y}`);
      if (!last) series.path.setAttribute("d", `${series.path.getAttribute("d")}L${x} ${y}`);
    }
  }

  scale() {
    const points = this.series.flatMap((series) => series.points);
    this.toggleAttribute("empty", !points.length);
    const width = this.clientWidth;
    if (!points.length || !width) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const xs = points.map((point) => point[0]), ys = points.map((point) => point[1]);
    const x0 = Math.min(...xs), x1 = Math.max(...xs, x0 + 1), ticks = nice(Math.min(...ys), Math.max(...ys), this.getAttribute("max"));
    const y0 = ticks[0], y1 = ticks.at(-1);
    const kx = (width - LEFT) / (x1 - x0), ky = (HEIGHT - BOTTOM - TOP) / (y1 - y0);
    for (const series of this.series) {
      series.path.setAttribute("transform", `matrix(${kx} 0 0 ${-ky} ${LEFT - x0 * kx} ${HEIGHT - BOTTOM + y0 * ky})`);
    }
    this.rules.replaceChildren(...ticks.flatMap((tick) => {
      const y = HEIGHT - BOTTOM - (tick - y0) * ky;
      const text = element("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" });
      text.textContent = format(tick, ticks);
      return [element("line", { class: "rule", x1: LEFT, x2: width, y1: y, y2: y }), text];
    }), ...[[x0, "start"], [x1, "end"]].map(([value, anchor]) => {
      const text = element("text", { x: LEFT + (value - x0) * kx, y: HEIGHT - 4, "text-anchor": anchor });
      text.textContent = `${this.x} ${value}`;
      return text;
    }));
  }
}

// Four or five round numbers that include the range.
function nice(low, high, most) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 3, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const first = Math.floor(low / step) * step, ticks = [];
  for (let tick = first; ticks.length < 8; tick += step) {
    ticks.push(tick);
    if (tick >= high - step * 1e-6) break;
  }
  if (ticks.length < 2) first > 0 ? ticks.unshift(first - step) : ticks.push(first + step); // a range of one value
  return most && ticks.at(-1) > Number(most) ? [...ticks.slice(0, -1), Number(most)] : ticks;
}

function format(value, ticks) {
  const step = ticks[1] - ticks[0], digits = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9) + (step * 10 ** Math.ceil(-Math.log10(step) - 1e-9) % 1 ? 1 : 0)));
  return value.toFixed(digits);
}

function element(name, attributes) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

customElements.define("line-chart", LineChart);
