// Elements from data. Strings only ever become text nodes, so no name can become markup.
const byId = (id) => document.getElementById(id);

const DATA = JSON.parse(byId("data").textContent);

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  set(made, attributes || {});
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(made, attributes || {});
  made.append(...children.flat());
  return made;
}

function set(made, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
}

function bar(share, own) {
  const filled = element("span");
  filled.style.width = `${100 * Math.max(0, Math.min(1, share))}%`;
  return element("div", { class: own ? "bar own" : "bar" }, filled);
}

// scores: [class, probability, rank] each, as the prediction ranks them.
function scoreRows(scores, own) {
  const cells = scores.flatMap(([name, probability, rank]) => {
    const mine = own.includes(name);
    return [
      element("span", { class: "rank" }, `${rank}.`),
      element("span", { class: mine ? "own" : "" }, mine ? `${name} ✓` : name),
      bar(probability, mine),
      element("span", { class: "value" }, probability.toFixed(3)),
    ];
  });
  return element("div", { class: "scores" }, cells);
}

const seconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;

// Names side by side for a reader.
function listed(names) {
  return names.join(names.some((name) => name.includes(",")) ? " | " : ", ");
}
