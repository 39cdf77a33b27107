// A clip's card: sound, old and new labels, what the model hears, clips of the same sound, the decision.
class ReviewCard {
  // actions: decide(card, decision, labels) and undo(card), called after the card's own buttons and editor.
  constructor(clip, decisions, player, actions) {
    this.clip = clip;
    this.decisions = decisions;
    this.actions = actions;
    [this.fname, this.old, this.after] = decisions.table[clip.row];
    this.view = new SoundView(clip, player, "");
    this.result = element("dd", { class: "result" });
    const button = (decision, key, click) => element("button", {
      type: "button", class: decision.replace(" ", "-"), click,
    }, `${decision[0].toUpperCase()}${decision.slice(1)} `, element("kbd", {}, key));
    this.buttons = {
      keep: button("keep", "k", () => this.keep()),
      drop: button("drop", "d", () => this.drop()),
      fix: button("fix", "f", () => this.edit()),
      old: clip.status === "changed" ? button("old labels", "b", () => this.takeOld()) : null,
      undo: button("undo", "u", () => actions.undo(this)),
    };
    this.place = element("div");
    const isCurated = DATA.task === "curated";
    const row = (name, value) => [element("dt", {}, name), element("dd", {}, value)];
    const rows = isCurated ? row("labels", labelText(this.old)) : [
      ...row("old labels", labelText(this.old)),
      ...row("new labels", this.after === null ? "(dropped)" : labelText(this.after))];
    this.node = element("article", { class: "card", "aria-label": this.fname },
      element("header", {}, element("span", { class: "fname" }, this.fname),
        isCurated ? null : element("span", { class: `badge ${clip.status}` }, clip.status),
        element("span", { class: "faint" }, `margin ${marginText(clip.margin)}`)),
      element("div", { class: "parts" }, this.view.figure, element("div", {},
        element("dl", { class: "labels" }, rows, element("dt", {}, "result"), this.result),
        scoreRows(clip.scores, splitLabels(this.old), isCurated ? "label" : "old label"),
        sameText(clip),
        element("div", { class: "decide" }, Object.values(this.buttons)), this.place)));
    this.draw();
  }

  draw() {
    const made = this.decisions.get(this.clip.row);
    const cell = this.decisions.result(this.clip.row);
    this.result.textContent = cell === null ? "(not in the table)" : labelText(cell);
    if (made) this.node.dataset.decision = made.decision;
    else delete this.node.dataset.decision;
    for (const name of ["keep", "drop", "fix"]) {
      this.buttons[name].setAttribute("aria-pressed", String(Boolean(made && made.decision === name)));
    }
    this.buttons.undo.hidden = !made;
    this.place.replaceChildren();
  }

  keep() {
    this.actions.decide(this, "keep");
  }

  drop() {
    this.actions.decide(this, "drop");
  }

  takeOld() {
    if (this.buttons.old) this.actions.decide(this, "fix", this.old);
  }

  edit() {
    const names = splitLabels(this.decisions.result(this.clip.row) ?? this.after ?? this.old);
    const suggested = [...new Set([...splitLabels(this.old), ...this.clip.scores.map(([name]) => name)])];
    const editor = new LabelEditor(DATA.classes, names, suggested, (chosen) => {
      if (chosen) this.actions.decide(this, "fix", joinLabels(chosen));
      else {
        this.draw();
        this.node.focus({ preventScroll: true });
      }
    });
    this.place.replaceChildren(editor.node);
    editor.input.focus();
  }
}

// Other labels of the same sound tell that one of them is wrong.
function sameText(clip) {
  if (!clip.same.length) return null;
  const named = clip.same.slice(0, 5).map((row) => `${DATA.table[row][0]} (${labelText(DATA.table[row][1])})`);
  const more = clip.same.length > 5 ? `; and ${clip.same.length - 5} more` : "";
  return element("p", { class: "same" }, `The same sound: ${named.join("; ")}${more}`);
}

function labelText(cell) {
  return listed(splitLabels(cell)) || "(none)";
}

// Infinite margins (a clip with all classes, or none) are null in the data.
function marginText(margin) {
  return margin === null ? "undefined" : margin.toFixed(2).replace("-", "−");
}
