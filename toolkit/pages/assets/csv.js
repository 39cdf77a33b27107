// CSV as the training scripts read and write it: commas, doubled quotes, a line an end.
function csvCell(text) {
  return /[",\r\n\ufeff]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function toCsv(rows) {
  return rows.map((row) => `${row.map(csvCell).join(",")}\n`).join("");
}

// Rows of cells; throws an Error that says what is wrong. Blank lines are left out.
function parseCsv(text) {
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false; // within quotes
  let closed = false; // behind closing quotes
  const endCell = () => {
    row.push(cell);
    [cell, closed] = ["", false];
  };
  const endRow = () => {
    endCell();
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  };
  const source = text.replace(/^\ufeff/, "");
  for (let at = 0; at < source.length; at += 1) {
    const character = source[at];
    if (quoted) {
      if (character !== '"') cell += character;
      else if (source[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else [quoted, closed] = [false, true];
    } else if (character === ",") endCell();
    else if (character === "\n" || character === "\r") {
      if (character === "\r" && source[at + 1] === "\n") at += 1;
      endRow();
    } else if (character === '"' && cell === "" && !closed) quoted = true;
    else if (closed) throw new Error(`row ${rows.length + 1}: expected a comma behind closing quotes`);
    else cell += character;
  }
  if (quoted) throw new Error("quotes are opened and never closed");
  if (cell !== "" || closed || row.length) endRow();
  return rows;
}

function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}
