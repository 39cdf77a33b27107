// A clip's card: sound, labels before and after, what the model hears, the decision.
class ReviewCard {
  // actions: decide(card, decision, labels) and undo(card), called after the card's own buttons and editor.
  constructor(clip, decisions, player, actions) {
    this.clip = clip;
    this.decisions = decisions;
    this.actions = actions;
    [this.fname, this.before, this.after] = decisions.table[clip.row];
    this.view = new SoundView(clip, player, "");
    this.result = element("dd", { class: "result" });
    const button = (decision, key, click) => element("button", {
      type: "button", class: decision, click,
    }, `${decision[0].toUpperCase()}${decision.slice(1)} `, element("kbd", {}, key));
    this.buttons = {
      keep: button("keep", "k", () => this.keep()),
      drop: button("drop", "d", () => this.drop()),
      fix: button("fix", "f", () => this.edit()),
      before: clip.status === "changed" ? button("before", "b", () => this.takeBefore()) : null,
      undo: button("undo", "u", () => actions.undo(this)),
    };
    this.place = element("div");
    this.node = element("article", { class: "card", "aria-label": this.fname },
      element("header", {}, element("span", { class: "fname" }, this.fname),
        element("span", { class: `badge ${clip.status}` }, clip.status),
        element("span", { class: "faint" }, `margin ${marginText(clip.margin)}`)),
      element("div", { class: "parts" }, this.view.figure, element("div", {},
        element("dl", { class: "labels" },
          element("dt", {}, "before"), element("dd", {}, labelText(this.before)),
          element("dt", {}, "relabeled"), element("dd", {}, this.after === null ? "(dropped)" : labelText(this.after)),
          element("dt", {}, "result"), this.result),
        scoreRows(clip.scores, splitLabels(this.before)),
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

  takeBefore() {
    if (this.buttons.before) this.actions.decide(this, "fix", this.before);
  }

  edit() {
    const names = splitLabels(this.decisions.result(this.clip.row) ?? this.after ?? this.before);
    const suggested = [...new Set([...splitLabels(this.before), ...this.clip.scores.map(([name]) => name)])];
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

function labelText(cell) {
  return listed(splitLabels(cell)) || "(none)";
}

// Infinite margins (a clip with all classes, or none) are null in the data.
function marginText(margin) {
  return margin === null ? "undefined" : margin.toFixed(2).replace("-", "−");
}
