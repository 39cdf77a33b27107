// Several experiments side by side: figures, rounds, one curve each, classes, settings that differ.
const ALL = DATA.experiments;
const COMPARED = 8; // colours

function showFigures() {
  byId("name").textContent = DATA.name;
  byId("summary").textContent = `${ALL.length} experiments${DATA.rounds.length ? ", one for each round" : ""}`;
  byId("other-clips").hidden = DATA.same_clips;
  const head = ["experiment", ["lwlrap"], ["accuracy"], ["mAP"], ["clips"], ["noisy clips"], ["folds"], "begun"];
  fillTable(byId("figures-table"), head, ALL.map((one) => [
    one.name,
    ...(one.figures ? figureTexts(one.figures).map(([, text]) => [text]) : [["–"], ["–"], ["–"]]),
    [one.figures ? one.figures.clips : "–"], [one.n_noisy], [one.folds.join(" of ")], one.started]));
  if (!DATA.rounds.length) return;
  byId("of-rounds").hidden = false;
  const [names, ...rows] = DATA.rounds;
  const texts = names.map((name) => ["mode", "experiment"].includes(name));
  const cell = (text, index) => (texts[index] ? text : [/^\d*\.\d+$/.test(text) ? Number(text).toFixed(4) : text]);
  fillTable(byId("rounds"), names.map((name) => name.replaceAll("_", " ")).map(cell), rows.map((row) => row.map(cell)));
}

function showCurve() {
  const drawn = ALL.map((one, index) => ({
    name: one.name, classes: `f${index % COMPARED}`, points: one.curve, best: null,
  })).filter((one) => one.points.length);
  byId("legend").append(...drawn.map((one) => element("label", {},
    svg("svg", { viewBox: "0 0 28 12", "aria-hidden": "true" },
      svg("line", { class: one.classes, x1: 0, x2: 28, y1: 6, y2: 6, "stroke-width": 3 })), one.name)));
  byId("curve").append(new Chart("lwlrap", drawn).node);
}

function showClasses() {
  fillTable(byId("class-table"), ["class", ...ALL.map((one) => one.name)], DATA.classes.map(([name, ...values]) => {
    const highest = Math.max(...values.filter((value) => value !== null));
    return [name, ...values.map((value) => (value === null ? ["–"]
      : element(value === highest ? "b" : "span", { class: "value" }, value.toFixed(3))))];
  }));
}

showFigures();
showCurve();
showClasses();
fillTable(byId("settings"), ["setting", ...ALL.map((one) => one.name)], DATA.settings);
byId("commands").append(...ALL.flatMap((one) => [
  element("p", {}, one.name), ...one.commands.map((command) => element("pre", {}, command))]));
