// What was decided, clip by clip, kept in the browser and turned into tables.
// A decision: {decision: "keep" | "drop" | "fix", labels: a cell, for "fix"}.
// Names with commas have them doubled in a cell: of a run of commas, pairs from the left are a name's.
const BLANKS = "[\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+"; // as Python has them
const OUTER = new RegExp(`^${BLANKS}|${BLANKS}$`, "g");
const splitLabels = (cell) => (cell.match(/(?:[^,]|,,)+/g) || [])
  .map((name) => name.replaceAll(",,", ",").replace(OUTER, "")).filter((name) => name);
const joinLabels = (names) => names.map((name) => name.replaceAll(",", ",,"))
  .map((name, at) => (at && name.startsWith(",") ? ` ${name}` : name)).join(",");

class Decisions {
  // table: [fname, old labels, new labels or null] a clip; weights: a cell a clip, or null where
  // the relabeled table has none; further: names of other columns, and rows of their cells; decided: rows of a
  // decisions table.
  constructor({ table, weights, further, classes, key, decided }) {
    this.table = table;
    this.weights = weights;
    this.further = further;
    this.classes = new Set(classes);
    this.key = `review_labels:${key}`;
    this.rowOf = new Map(table.map(([fname], row) => [fname, row]));
    this.stored = true; // whether the browser keeps what is decided
    this.made = new Map(decided.map(([fname, decision, labels]) => [this.rowOf.get(fname), { decision, labels }]));
    this.made = this.read();
  }

  // What is stored, over what is known: another window may have decided meanwhile.
  read() {
    const made = new Map(this.made);
    try {
      const kept = JSON.parse(localStorage.getItem(this.key) || "[]");
      for (const [fname, decision] of kept) if (this.rowOf.has(fname)) made.set(this.rowOf.get(fname), decision);
    } catch {
      this.stored = false;
    }
    return made;
  }

  change(apply) {
    this.made = this.read();
    apply(this.made);
    try {
      localStorage.setItem(this.key, JSON.stringify([...this.made].map(([row, one]) => [this.table[row][0], one])));
    } catch {
      this.stored = false;
    }
  }

  get(row) {
    return this.made.get(row) || null;
  }

  decide(row, decision, labels) {
    this.change((made) => made.set(row, decision === "fix" ? { decision, labels } : { decision }));
  }

  undo(row) {
    this.change((made) => made.delete(row));
  }

  clear() {
    this.change((made) => made.clear());
  }

  // The clip's labels in the table to train on; null: not in it.
  result(row) {
    const [, old, after] = this.table[row];
    const one = this.get(row);
    if (!one) return after;
    if (one.decision === "drop") return null;
    return one.decision === "fix" ? one.labels : after ?? old;
  }

  // What somebody listened to counts in full.
  rows() {
    const weight = (row) => (this.get(row) ? "1" : this.weights[row]);
    return this.table
      .map(([fname], row) => [fname, this.result(row), ...(this.weights ? [weight(row)] : []), ...this.further.rows[row]])
      .filter(([, labels]) => labels !== null);
  }

  tableCsv() {
    const names = ["fname", "labels", ...(this.weights ? ["weight"] : []), ...this.further.names];
    return toCsv([names, ...this.rows()]);
  }

  decisionsCsv() {
    const made = [...this.made].sort(([a], [b]) => a - b);
    return toCsv([["fname", "decision", "labels"],
      ...made.map(([row, one]) => [this.table[row][0], one.decision, one.labels ?? ""])]);
  }

  // Takes up a saved decisions table; returns how many it holds. Throws an Error before anything is changed.
  load(text) {
    const [head, ...rows] = parseCsv(text);
    if (!head || head.join() !== "fname,decision,labels") {
      throw new Error("expected the columns fname,decision,labels: the file that “Save decisions” makes");
    }
    const loaded = rows.map(([fname, decision, labels], index) => {
      const where = `row ${index + 1} (${fname})`;
      if (!this.rowOf.has(fname)) throw new Error(`${where}: this clip is not in the table`);
      if (!["keep", "drop", "fix"].includes(decision)) throw new Error(`${where}: unknown decision ${decision}`);
      if (decision === "fix") {
        const names = splitLabels(labels || "");
        const unknown = names.find((name) => !this.classes.has(name.replace(/^\?\s*/, ""))); // "?Bark": nobody knows
        if (unknown !== undefined) throw new Error(`${where}: unknown class ${unknown}`);
        if (!names.length) throw new Error(`${where}: a fix without labels`);
      }
      return [this.rowOf.get(fname), decision === "fix" ? { decision, labels } : { decision }];
    });
    this.change((made) => {
      for (const [row, one] of loaded) made.set(row, one);
    });
    return loaded.length;
  }
}
