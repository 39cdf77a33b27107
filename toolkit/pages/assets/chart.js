// A line chart: one x axis (epochs), a line a series; arrow keys or a pointer read values off.
const HEIGHT = 220;
const MARGIN = { top: 8, right: 12, bottom: 38, left: 52 };

function shortNumber(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e4 || size < 1e-3 ? value.toExponential(1).replace("e+", "e") : String(Number(value.toPrecision(3)));
}

class Chart {
  // series: {name, classes, points: [[x, y], ...], best: x or null}; points without a y are left out.
  constructor(title, series) {
    this.series = series;
    this.shown = series;
    this.x = null;
    this.drawing = svg("svg", {
      tabindex: 0, role: "img", height: HEIGHT, "aria-label": `${title} by epoch; arrow keys read values`,
      keydown: (event) => this.onKey(event),
      pointermove: (event) => this.onPointer(event),
      pointerdown: (event) => this.onPointer(event),
    });
    this.readout = element("p", { class: "readout", "aria-live": "polite" }, TOUCH ? "Tap the chart to read values." : "Point at the chart, or press ← → in it, to read values.");
    this.node = element("div", { class: "chart" }, element("h3", {}, title), this.drawing, this.readout);
    new ResizeObserver(() => this.draw()).observe(this.node);
  }

  filter(keep) {
    this.shown = this.series.filter(keep);
    this.draw();
    this.read(this.x);
  }

  draw() {
    this.width = Math.max(160, this.drawing.clientWidth || 320);
    this.drawing.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    const points = this.shown.flatMap((one) => one.points).filter(([, y]) => y !== null);
    this.epochs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b);
    if (!points.length) {
      this.drawing.replaceChildren(svg("text", { x: 8, y: 20 }, "no values"));
      return;
    }
    let low = points[0][1];
    let high = low;
    for (const [, y] of points) [low, high] = [Math.min(low, y), Math.max(high, y)];
    const pad = (high - low || Math.abs(high) || 1) * 0.05;
    [low, high] = [low - pad, high + pad];
    const [first, last] = [this.epochs[0], this.epochs[this.epochs.length - 1]];
    const right = this.width - MARGIN.right;
    const bottom = HEIGHT - MARGIN.bottom;
    this.xOf = (x) => MARGIN.left + ((x - first) / (last - first || 1)) * (right - MARGIN.left);
    this.yOf = (y) => bottom - ((y - low) / (high - low)) * (bottom - MARGIN.top);
    const parts = roundSteps(low, high).map((y) => [
      svg("line", { class: "grid", x1: MARGIN.left, x2: right, y1: this.yOf(y), y2: this.yOf(y) }),
      svg("text", { x: MARGIN.left - 6, y: this.yOf(y) + 4, "text-anchor": "end" }, shortNumber(y)),
    ]);
    for (const x of roundSteps(first, last).filter(Number.isInteger)) {
      parts.push(svg("text", { x: this.xOf(x), y: bottom + 15, "text-anchor": "middle" }, String(x)));
    }
    parts.push(svg("text", { x: (MARGIN.left + right) / 2, y: HEIGHT - 5, "text-anchor": "middle" }, "epoch"));
    for (const one of this.shown) {
      const there = one.points.filter(([, y]) => y !== null);
      const path = there.map(([x, y], index) => `${index ? "L" : "M"}${this.xOf(x)} ${this.yOf(y)}`).join("");
      parts.push(svg("path", { class: `curve ${one.classes}`, d: path }));
      const marked = there.length === 1 ? there : there.filter(([x]) => x === one.best);
      for (const [x, y] of marked) {
        parts.push(svg("circle", { class: `best ${one.classes}`, cx: this.xOf(x), cy: this.yOf(y), r: 4 }));
      }
    }
    this.cursor = svg("line", { class: "cursor", y1: MARGIN.top, y2: bottom, visibility: "hidden" });
    this.drawing.replaceChildren(...parts.flat(), this.cursor);
    this.read(this.x);
  }

  onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || !this.epochs.length) return;
    event.preventDefault();
    const at = this.x === null ? (step > 0 ? -1 : this.epochs.length) : this.epochs.indexOf(this.x);
    this.read(this.epochs[Math.max(0, Math.min(this.epochs.length - 1, at + step))]);
  }

  onPointer(event) {
    if (!this.epochs.length) return;
    const x = event.clientX - this.drawing.getBoundingClientRect().left;
    const distance = (epoch) => Math.abs(this.xOf(epoch) - x);
    this.read(this.epochs.reduce((best, epoch) => (distance(epoch) < distance(best) ? epoch : best)));
  }

  read(x) {
    this.x = x;
    if (x === null || !this.cursor || !this.epochs.includes(x)) return;
    for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, this.xOf(x));
    this.cursor.setAttribute("visibility", "visible");
    const values = this.shown.flatMap((one) =>
      one.points.filter(([at, y]) => at === x && y !== null).map(([, y]) => `${one.name} ${y.toPrecision(4)}`));
    this.readout.textContent = `epoch ${x}: ${values.join(", ")}`;
  }
}
