// Tables from data, and a report's figures, for the report and the comparison.
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

// lwlrap with its interval, accuracy, mAP: name and text of each.
function figureTexts({ lwlrap, low, high, accuracy, mean_average_precision: precision }) {
  const interval = low === null ? "" : ` (${low.toFixed(3)} to ${high.toFixed(3)})`;
  return [["lwlrap", `${shown(lwlrap)}${interval}`], ["accuracy", shown(accuracy)], ["mAP", shown(precision)]];
}
