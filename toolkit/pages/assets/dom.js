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

// scores: [class, probability, rank] each, as the prediction ranks them; the clip's own labels, right or wrong, bear a mark.
function scoreRows(scores, own, mark) {
  const cells = scores.flatMap(([name, probability, rank]) => {
    const mine = own.includes(name);
    return [
      element("span", { class: "rank" }, `${rank}.`),
      element("span", { class: mine ? "own" : "" }, name, mine ? element("span", { class: "mark" }, mark) : null),
      bar(probability, mine),
      element("span", { class: "value" }, probability.toFixed(3)),
    ];
  });
  return element("div", { class: "scores" }, cells);
}

const seconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;

// Round numbers between low and high, some five of them.
function roundSteps(low, high) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

// Fingers have no hover and no keys.
const TOUCH = matchMedia("(pointer: coarse)").matches;

// What <details class="narrow"> holds is open where there is room, and one tap away on a phone.
function openWhereWide() {
  const wide = matchMedia("(min-width: 46rem)");
  const apply = () => {
    for (const box of document.querySelectorAll("details.narrow")) box.open = wide.matches;
  };
  wide.addEventListener("change", apply);
  apply();
}

// Names side by side for a reader.
function listed(names) {
  return names.join(names.some((name) => name.includes(",")) ? " | " : ", ");
}
