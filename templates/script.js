"use strict";
// The report is whole without this: it only sorts, filters and switches views of what the page already holds.
const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

function keyOf(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.sort ?? cell.textContent.trim();
  const value = text === "" ? -Infinity : Number(text.replace(/,/g, ""));
  return Number.isNaN(value) ? text.toLowerCase() : value;
}

function compare(a, b) {
  if (typeof a === typeof b) return typeof a === "number" ? a - b || 0 : a.localeCompare(b);
  return typeof a === "number" ? -1 : 1;
}

function sortBy(table, column) {
  const heading = table.tHead.rows[0].cells[column];
  const rows = Array.from(table.tBodies[0].rows);
  const keys = new Map(rows.map((row) => [row, keyOf(row, column)]));
  const numeric = rows.some((row) => typeof keys.get(row) === "number" && keys.get(row) !== -Infinity);
  const now = heading.getAttribute("aria-sort");
  const order = now ? (now === "ascending" ? "descending" : "ascending") : numeric ? "descending" : "ascending";
  const sign = order === "ascending" ? 1 : -1;
  rows.sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    return x === y ? 0 : sign * compare(x, y);
  });
  all("th", table.tHead).forEach((th) => th.removeAttribute("aria-sort"));
  heading.setAttribute("aria-sort", order);
  table.tBodies[0].append(...rows);
}

for (const table of all("table.sortable")) {
  Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(table, column));
  });
}

for (const button of all(".switch button[data-value]")) {
  button.addEventListener("click", () => {
    const group = button.closest(".switch");
    const { target } = group.dataset;
    // Switches with one target, as in the page and in the enlarged view, go together.
    const alike = target ? all(`.switch[data-target=${target}]`) : [group];
    for (const other of alike.flatMap((one) => all("button", one))) {
      other.setAttribute("aria-pressed", String(other.dataset.value === button.dataset.value));
    }
    if (target) document.getElementById(target).classList.toggle("overlay", button.dataset.value === "overlay");
    else group.closest("[data-show]").dataset.show = button.dataset.value;
  });
}

// A link into a folded part opens it.
const unfold = () => {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let fold = place && place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  if (place && place.closest("details")) place.scrollIntoView();
};
window.addEventListener("hashchange", unfold);
unfold();

const links = new Map(all(".contents a").map((link) => [link.hash.slice(1), link]));
if ("IntersectionObserver" in window) {
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  all("main > section").forEach((section) => observer.observe(section));
}

window.addEventListener("beforeprint", () => all("details.print-open").forEach((d) => { d.open = true; }));
