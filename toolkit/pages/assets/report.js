// The report: folds, curves, classes, confusions, clips, settings, each from its part of DATA.
const shown = (value) => (value === null || value === undefined ? "undefined" : value.toFixed(4));
const COLORS = 8;

function tableRow(tag, cells) {
  return element("tr", {}, cells.map((cell) =>
    cell instanceof Node ? element(tag, {}, cell)
      : element(tag, { class: typeof cell === "object" ? "number" : "" }, String(typeof cell === "object" ? cell[0] : cell))));
}

// rows: cells as text, or [text] for a number, or an element.
function fillTable(table, head, rows) {
  table.append(element("thead", {}, tableRow("th", head)), element("tbody", {}, rows.map((row) => tableRow("td", row))));
}

function showSummary() {
  byId("name").textContent = DATA.name;
  const done = DATA.folds.filter((fold) => fold.finished).length;
  const tags = DATA.tag_f1 === null ? "" : `, F1 of their tags ${shown(DATA.tag_f1)}`;
  byId("summary").textContent = done
    ? `lwlrap ${shown(DATA.metric)} over ${DATA.n_clips} out-of-fold predictions${tags}; ${done} of ${DATA.n_folds} folds finished`
    : `none of ${DATA.n_folds} folds is finished: only learning curves so far`;
  fillTable(byId("folds"), ["fold", ["best lwlrap"], ["at epoch"], ["epochs done"]], DATA.folds.map((fold) => [
    String(fold.fold), [fold.finished ? shown(fold.metric) : "not finished"],
    [fold.finished ? fold.best_epoch : ""], [fold.epochs.length || "no record"]]));
  if (!done) {
    for (const part of ["classes", "confusions", "clips"]) byId(part).closest("section").hidden = true;
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
        element("span", { class: "faint" }, `fold ${clip.fold}, lrap ${clip.lrap.toFixed(3)}`)),
      element("div", { class: "parts" }, view.figure,
        element("div", {}, element("p", {}, `Labels: ${listed(clip.labels)}`), scoreRows(clip.scores, clip.labels))));
    return { node, view };
  });
  byId("clips-note").textContent =
    `Out of fold, by the lwlrap that they cost; pictures: ${DATA.features}, low frequencies at the bottom; labels in green.`;
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
showConfusions(showClips());
fillTable(byId("settings"), ["section", "setting", "value"], DATA.settings);
