// The editor of a clip's labels: chips to take away, completion limited to the known classes.
class LabelEditor {
  // suggested: classes offered at a click; done(names or null): taken over, or cancelled.
  constructor(classes, names, suggested, done) {
    this.classes = classes;
    this.names = [...names];
    this.suggested = suggested;
    this.chips = element("div", { class: "chips" });
    this.offers = element("div", { class: "chips" });
    this.problem = element("p", { class: "problem", role: "alert", hidden: true });
    this.input = element("input", {
      type: "text", list: "class-names", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
      "aria-label": "Add a class", placeholder: "add a class",
      change: () => {
        if (this.classes.includes(this.input.value)) this.add(this.input.value); // chosen from the list
      },
    });
    const finish = () => {
      if (this.input.value.trim() && !this.complete()) return;
      if (this.names.length) done(this.names);
      else this.say("choose at least one label, or drop the clip");
    };
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (this.input.value.trim()) this.complete();
      else finish();
    });
    this.node = element("div", { class: "editor", role: "group", "aria-label": "Labels" },
      this.chips, this.input, this.offers, this.problem,
      element("div", { class: "row" },
        element("button", { class: "main take", type: "button", click: finish }, "Take these labels ", element("kbd", {}, "Enter")),
        element("button", { type: "button", click: () => done(null) }, "Cancel ", element("kbd", {}, "Esc"))));
    this.node.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      done(null);
    });
    this.draw();
  }

  // Adds the class that the typed text names: the whole name, or part of one class only.
  complete() {
    const typed = this.input.value.trim();
    const lower = typed.toLowerCase();
    const whole = this.classes.filter((name) => name === typed);
    const alike = this.classes.filter((name) => name.toLowerCase() === lower);
    const begun = this.classes.filter((name) => name.toLowerCase().startsWith(lower));
    const within = this.classes.filter((name) => name.toLowerCase().includes(lower));
    const found = [whole, alike, begun, within].find((matches) => matches.length) || [];
    if (found.length === 1) {
      this.add(found[0]);
      return true;
    }
    this.say(found.length ? `several classes: ${listed(found.slice(0, 8))}` : `no class is called ${typed}`);
    return false;
  }

  add(name) {
    if (!this.names.includes(name)) this.names.push(name);
    this.input.value = "";
    this.draw();
  }

  remove(name) {
    this.names = this.names.filter((one) => one !== name);
    this.draw();
    this.input.focus();
  }

  say(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
    if (text) this.input.focus();
  }

  draw() {
    this.say("");
    this.chips.replaceChildren(...this.names.map((name) => element("button", {
      class: "chip", type: "button", "aria-label": `Remove ${name}`, click: () => this.remove(name),
    }, `${name} ✕`)));
    this.offers.replaceChildren(...this.suggested.filter((name) => !this.names.includes(name)).map((name) => element(
      "button", { class: "chip offer", type: "button", click: () => this.add(name) }, `+ ${name}`)));
  }
}
