// Recordings as cards: a picture, a time axis, and a lane of bars for each class that applies.
const player = new Player();

function lane(item, recording, view) {
  const length = recording.seconds;
  const bars = item.stretches.filter(([start]) => start < length).map(([start, end, probability]) => {
    const words = `${item.name}, ${start.toFixed(2)} to ${end.toFixed(2)} s, probability ${probability.toFixed(2)}`;
    const made = element("button", {
      class: "stretch", type: "button", title: words, "aria-label": words,
      click: () => player.play(view, start / length),
    });
    made.style.left = `${(100 * start) / length}%`;
    made.style.width = `${(100 * (Math.min(end, length) - start)) / length}%`;
    return made;
  });
  if (!bars.length) return null;
  const highest = Math.max(...item.stretches.map(([, , probability]) => probability));
  const label = element("div", { class: "label" }, `${item.name} ${highest.toFixed(2)}`);
  return element("div", { class: "lane" }, label, element("div", { class: "track" }, bars));
}

function card(recording) {
  const view = new SoundView(recording, player);
  if (!recording.error) {
    const lanes = recording.lanes.map((item) => lane(item, recording, view));
    view.figure.querySelector(".time-axis").after(element("div", { class: "lanes" }, lanes));
  }
  const tags = recording.lanes.map((item) => item.name);
  const node = element(
    "article", { class: "card", "aria-label": recording.fname },
    element("header", {},
      element("span", { class: "fname" }, recording.fname),
      element("span", { class: "faint" }, tags.length ? listed(tags) : "none of the classes")),
    view.figure,
  );
  return { node, view };
}

const list = new CardList(byId("recordings"), card);
const classes = [...new Set(DATA.recordings.flatMap((one) => one.lanes.map((item) => item.name)))].sort();
const choices = [["", `all ${DATA.recordings.length} recordings`], ["none", "none of the classes"]];
for (const [value, text] of [...choices, ...classes.map((name) => [`class ${name}`, name])]) {
  byId("show").append(element("option", { value }, text));
}

function show() {
  const chosen = byId("show").value;
  const items = DATA.recordings.filter((one) => {
    if (!chosen) return true;
    if (chosen === "none") return !one.lanes.length;
    return one.lanes.some((item) => `class ${item.name}` === chosen);
  });
  byId("nothing").hidden = items.length > 0;
  list.show(items);
}

const tagged = DATA.recordings.filter((one) => one.lanes.length).length;
byId("summary").textContent = `${DATA.name}: ${tagged} of ${DATA.recordings.length} recordings have tags.`;
byId("show").addEventListener("change", show);
listenToKeys(listKeys(list, player, true));
show();
