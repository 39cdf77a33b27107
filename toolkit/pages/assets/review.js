// The review: filters, the list of clips, decisions by button and key, saving and loading.
const decisions = new Decisions(DATA);
const player = new Player();
const fnameOf = (clip) => DATA.table[clip.row][0];

function say(text) {
  byId("message").textContent = text;
}

function showProgress() {
  const decided = DATA.clips.filter((clip) => decisions.get(clip.row)).length;
  byId("progress").textContent =
    `${decided} of ${DATA.clips.length} decided, ${decisions.rows().length} clips in the table`;
  if (!decisions.stored) say("This browser keeps no decisions: save them before you close the page.");
}

const actions = {
  decide(card, decision, labels) {
    decisions.decide(card.clip.row, decision, labels);
    card.draw();
    showProgress();
    if (byId("go-on").checked && list.current < list.items.length - 1) list.go(list.current + 1);
    else card.node.focus({ preventScroll: true });
  },
  undo(card) {
    decisions.undo(card.clip.row);
    card.draw();
    showProgress();
    card.node.focus({ preventScroll: true });
  },
};

const list = new CardList(byId("clips"), (clip) => new ReviewCard(clip, decisions, player, actions), (card) => {
  if (byId("autoplay").checked) player.play(card.view);
});

function matches(clip) {
  const made = decisions.get(clip.row);
  const status = byId("status").value;
  const wanted = byId("decision").value;
  const name = byId("class").value;
  const search = byId("search").value.trim().toLowerCase();
  if (status && clip.status !== status) return false;
  if (wanted && wanted !== (made ? made.decision : "undecided") && !(wanted === "decided" && made)) return false;
  if (search && !fnameOf(clip).toLowerCase().includes(search)) return false;
  if (!name) return true;
  const [, old, after] = DATA.table[clip.row];
  const heard = clip.scores.length ? clip.scores[0][0] : "";
  return [old, after ?? "", decisions.result(clip.row) ?? ""].some((cell) => splitLabels(cell).includes(name)) || heard === name;
}

function filter() {
  const order = byId("order").value;
  const clips = DATA.clips.filter(matches); // DATA.clips comes by disagreement
  if (order === "least") clips.reverse();
  if (order === "fname") clips.sort((a, b) => (fnameOf(a) < fnameOf(b) ? -1 : 1));
  const rest = DATA.table.length - DATA.clips.length;
  byId("count").textContent = `${clips.length} of the ${DATA.clips.length} clips in this page${
    rest ? `; ${rest} more of the table are not in it and stay as they are` : ""}`;
  player.audio.pause();
  list.show(clips);
}

function saveTable() {
  if (!decisions.rows().length) say("No clip is left in the table, so there is nothing to train on.");
  else {
    download(DATA.saved_table, decisions.tableCsv());
    say("");
  }
}

async function loadDecisions(file) {
  try {
    const count = decisions.load(await file.text());
    say(`${count} decisions loaded from ${file.name}`);
  } catch (error) {
    say(`${file.name}: ${error.message}; nothing was loaded`);
  }
  filter();
  showProgress();
}

function setUp() {
  document.body.dataset.task = DATA.task;
  openWhereWide();
  const total = DATA.table.length;
  byId("summary").textContent = DATA.task === "curated"
    ? `${total} clips, those first whose labels a network that was not trained on them doubts most`
    : `${total} clips: ${DATA.counts.kept} kept, ${DATA.counts.dropped} dropped, ${DATA.counts.changed} with changed labels`;
  const statuses = ["kept", "dropped", "changed"].map((name) => element("option", { value: name },
    `${name} (${DATA.clips.filter((clip) => clip.status === name).length})`));
  byId("status").append(element("option", { value: "" }, "all"), ...statuses);
  const names = [...DATA.classes].sort();
  byId("class").append(...names.map((name) => element("option", { value: name }, name)));
  byId("class-names").append(...names.map((name) => element("option", { value: name })));
  for (const id of ["status", "class", "decision", "order"]) byId(id).addEventListener("change", filter);
  byId("search").addEventListener("input", filter);
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === "Escape") list.go(0);
  });
  byId("save-table").addEventListener("click", saveTable);
  byId("save-decisions").addEventListener("click", () => download(DATA.saved_decisions, decisions.decisionsCsv()));
  byId("load").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", () => {
    if (byId("file").files.length) loadDecisions(byId("file").files[0]);
    byId("file").value = "";
  });
  byId("clear").addEventListener("click", () => {
    if (!window.confirm("Forget every decision of this review?")) return;
    decisions.clear();
    filter();
    showProgress();
  });
  window.addEventListener("beforeunload", (event) => {
    if (!decisions.stored && decisions.made.size) event.preventDefault();
  });
  const onCard = (act) => () => {
    if (!list.card) list.go(0);
    if (list.card) act(list.card);
  };
  listenToKeys({
    ...listKeys(list, player, true),
    k: onCard((card) => card.keep()),
    d: onCard((card) => card.drop()),
    f: onCard((card) => card.edit()),
    b: onCard((card) => card.takeOld()),
    u: onCard((card) => actions.undo(card)),
    s: saveTable,
    "/": () => {
      byId("choice").open = true;
      byId("search").focus();
    },
    "?": () => byId("help").toggleAttribute("open"),
  });
}

setUp();
filter();
showProgress();
