// The report: figures, folds, curves, classes, confusions, clips, settings, each from its part of DATA.
function showSummary() {
  byId("name").textContent = DATA.name;
  const done = DATA.folds.filter((fold) => fold.finished).length;
  const begun = DATA.started ? `trained from ${DATA.started} on; ` : "";
  byId("summary").textContent = done
    ? `${begun}${done} of ${DATA.n_folds} folds finished`
    : `${begun}none of ${DATA.n_folds} folds is finished: only learning curves so far`;
  byId("meaning").hidden = !done;
  if (done) {
    const tags = DATA.tag_f1 === null ? [] : [["F1 of the tags", shown(DATA.tag_f1)]];
    const counts = [["clips validated on", DATA.figures.clips], ["classes", DATA.figures.classes],
      ["noisy clips trained on", DATA.n_noisy]];
    byId("figures").append(...[...figureTexts(DATA.figures), ...tags, ...counts].map(([name, text]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, String(text)))));
  }
  byId("commands").append(...DATA.commands.map((command) => element("pre", {}, command)));
  fillTable(byId("folds"), ["fold", ["best lwlrap"], ["at epoch"], ["epochs done"]], DATA.folds.map((fold) => [
    String(fold.fold), [fold.finished ? shown(fold.metric) : "not finished"],
    [fold.finished ? fold.best_epoch : ""], [fold.epochs.length || "no record"]]));
  if (!done) {
    for (const part of ["classes", "matrix", "confusions", "clips"]) byId(part).closest("section").hidden = true;
    document.querySelector("nav").hidden = true;
  }
}

// A row of fold.epochs: epoch, train_loss, train_lwlrap, valid_loss, valid_lwlrap, learning_rate, seconds.
function showCurves() {
  const recorded = DATA.folds.filter((fold) => fold.epochs.length);
  byId("curves-note").textContent = recorded.length
    ? "Solid lines: validation, the best epoch ringed. Dashed: training, with augmentations."
    : "This experiment has no record of its epochs (history/fold_<k>.csv): it was trained by an older version.";
  byId("epochs").hidden = !recorded.length;
  if (!recorded.length) return;
  const line = (fold, column, part) => ({
    name: `fold ${fold.fold}${part ? ` ${part}` : ""}`, fold: fold.fold, part,
    classes: `f${fold.fold % COLORS} ${part === "train" ? "train" : ""}`,
    points: fold.epochs.map((row) => [row[0], row[column]]),
    best: part === "valid" ? fold.best_epoch : null,
  });
  const both = (train, valid) => recorded.flatMap((fold) => [line(fold, train, "train"), line(fold, valid, "valid")]);
  const charts = [
    new Chart("lwlrap", both(2, 4)),
    new Chart("Loss", both(1, 3)),
    new Chart("Learning rate", recorded.map((fold) => line(fold, 5, ""))),
  ];
  byId("curves").append(...charts.map((chart) => chart.node));

  const off = new Set();
  const choice = (key, text, sample) => element("label", {}, element("input", {
    type: "checkbox", checked: true, value: key,
    change: (event) => {
      if (event.target.checked) off.delete(key);
      else off.add(key);
      for (const chart of charts) chart.filter((one) => !off.has(`fold ${one.fold}`) && !off.has(one.part));
    },
  }), sample, text);
  const sample = (classes) => svg("svg", { viewBox: "0 0 28 12", "aria-hidden": "true" },
    svg("line", { class: classes, x1: 0, x2: 28, y1: 6, y2: 6, "stroke-width": 3 }));
  byId("legend").append(
    ...recorded.map((fold) => choice(`fold ${fold.fold}`, `fold ${fold.fold}`, sample(`f${fold.fold % COLORS}`))),
    choice("valid", "validation", ""), choice("train", "training", ""));

  const table = element("table");
  const columns = ["train loss", "train lwlrap", "valid loss", "valid lwlrap", "learning rate", "seconds"];
  fillTable(table, ["fold", ["epoch"], ...columns.map((name) => [name])], recorded.flatMap((fold) =>
    fold.epochs.map(([epoch, ...values]) => [
      String(fold.fold), [epoch], ...values.map((value) => [value === null ? "–" : value.toPrecision(4)])])));
  byId("epochs").querySelector("div").append(table);
}

function showClasses() {
  const orders = {
    lwlrap: (a, b) => (a.lwlrap ?? 2) - (b.lwlrap ?? 2),
    clips: (a, b) => b.clips - a.clips,
    name: (a, b) => (a.name < b.name ? -1 : 1),
  };
  const draw = () => byId("classes").replaceChildren(
    ...[...DATA.classes].sort(orders[byId("class-order").value]).flatMap((one) => [
      element("span", { class: "class-name" }, one.name), bar(one.lwlrap ?? 0),
      element("span", { class: "number" }, one.lwlrap === null ? "–" : one.lwlrap.toFixed(3)),
      element("span", { class: "number faint" }, `${one.clips} ${one.clips === 1 ? "clip" : "clips"}`)]));
  byId("class-order").addEventListener("change", draw);
  draw();
}

function showMatrix() {
  const names = [...new Set(DATA.matrix.flatMap(([label, heard]) => [label, heard]))].sort();
  const total = new Map(names.map((name) => [name, 0]));
  for (const [label, , count] of DATA.matrix) total.set(label, total.get(label) + count);
  const margin = Math.min(150, 12 + 6.5 * Math.max(...names.map((name) => name.length)));
  const room = Math.min(byId("matrix").clientWidth, 760) - 1.6 * margin;
  const size = Math.max(9, Math.min(34, room / names.length));
  const at = (name) => margin + size * names.indexOf(name);
  const [width, tilt] = [margin + size * names.length, size < 16 ? -90 : -55];
  const say = (text) => {
    byId("matrix-readout").textContent = text;
  };
  const short = (name) => (name.length > 22 ? `${name.slice(0, 21)}…` : name);
  const rows = names.flatMap((name) => [
    svg("text", { x: margin - 5, y: at(name) + size / 2 + 3.5, "text-anchor": "end" }, short(name)),
    svg("text", { transform: `translate(${at(name) + size / 2 + 3} ${margin - 5}) rotate(${tilt})` }, short(name)),
    svg("line", { x1: margin, x2: width, y1: at(name), y2: at(name) }),
    svg("line", { x1: at(name), x2: at(name), y1: margin, y2: width })]);
  const cells = DATA.matrix.map(([label, heard, count]) => {
    const share = count / total.get(label);
    const words = label === heard ? `${label}: ${count} of ${total.get(label)} clips are right`
      : `${label}: ${count} of ${total.get(label)} clips score ${heard} highest`;
    return svg("g", { class: label === heard ? "cell right" : "cell", pointerenter: () => say(words), pointerdown: () => say(words) },
      svg("rect", { x: at(heard), y: at(label), width: size, height: size, "fill-opacity": 0.15 + 0.85 * share },
        svg("title", {}, words)),
      size < 18 ? [] : svg("text", { class: share > 0.5 ? "on-dark" : "", x: at(heard) + size / 2, y: at(label) + size / 2 + 4, "text-anchor": "middle" }, String(count)));
  });
  const end = width + 0.6 * margin; // the last column's name leans to the right
  byId("matrix").append(svg("svg", { width: end, height: width + 1, "font-size": Math.min(11, size), viewBox: `0 0 ${end} ${width + 1}`, role: "img",
    "aria-label": "Confusion matrix; the costly confusions stand in the table below" }, ...rows, ...cells));
  say(`${TOUCH ? "Tap" : "Point at"} a cell to read it.`);
}

function showConfusions(showClass) {
  const most = Math.max(...DATA.confusions.map((one) => one.share), 1e-9);
  fillTable(byId("confusions"), ["true class, below a wrong one", ["clips"], "lwlrap lost"],
    DATA.confusions.map((one) => [
      element("div", { class: "pair" },
        element("button", { type: "button", click: () => showClass(one.true) }, one.true), `below ${one.wrong}`),
      [`${one.clips} of ${one.of_clips}`],
      element("div", {}, `${one.cost.toFixed(4)} `,
        element("span", { class: "faint" }, `${(100 * one.share).toFixed(1)} %`), bar(one.share / most))]));
}

function showClips() {
  const player = new Player();
  const list = new CardList(byId("clips"), (clip) => {
    const view = new SoundView(clip, player, "");
    const node = element("article", { class: "card", "aria-label": clip.fname },
      element("header", {}, element("span", { class: "fname" }, clip.fname),
        clip.lrap < 1 ? element("span", { class: "badge wrong" }, "disagrees") : null,
        element("span", { class: "faint" }, `fold ${clip.fold}, ${clip.lrap < 1 ? `lrap ${clip.lrap.toFixed(3)}, ` : ""}margin ${
          clip.margin === null ? "undefined" : clip.margin.toFixed(2).replace("-", "−")}`)),
      element("div", { class: "parts" }, view.figure,
        element("div", {}, element("p", {}, `Labels: ${listed(clip.labels)}`), scoreRows(clip.scores, clip.labels, "label"))));
    return { node, view };
  });
  const wrong = DATA.clips.filter((clip) => clip.lrap < 1).length;
  byId("clips-note").textContent = `${wrong} on which the model, out of fold, and the labels disagree, those first that cost most lwlrap${
    wrong < DATA.clips.length ? "; then those whose labels stand least far above the other classes (margin, in logits)" : ""}. Pictures: ${DATA.features}.`;
  const choose = byId("clip-class");
  const names = [...new Set(DATA.clips.flatMap((clip) => clip.labels))].sort();
  choose.append(...names.map((name) => element("option", { value: name }, name)));
  const draw = () => {
    const clips = DATA.clips.filter((clip) => !choose.value || clip.labels.includes(choose.value));
    byId("clip-count").textContent = `${clips.length} of the ${DATA.clips.length} clips in this page`;
    list.show(clips);
  };
  choose.addEventListener("change", draw);
  draw();
  listenToKeys(listKeys(list, player, false));
  return (name) => {
    if (!names.includes(name)) choose.append(element("option", { value: name }, name));
    choose.value = name;
    draw();
    byId("clips-title").scrollIntoView();
    choose.focus({ preventScroll: true });
  };
}

showSummary();
showCurves();
showClasses();
if (DATA.matrix.length) showMatrix();
showConfusions(showClips());
fillTable(byId("settings"), ["section", "setting", "value"], DATA.settings);
