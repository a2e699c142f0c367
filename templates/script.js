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

const find = document.getElementById("find");
if (find) {
  const show = document.getElementById("show");
  const shown = document.getElementById("shown");
  const rows = Array.from(document.getElementById("predictions-table").tBodies[0].rows);
  const texts = new Map(rows.map((row) => [row, [0, 1, 2].map((i) => row.cells[i].textContent).join("\n").toLowerCase()]));
  const filter = () => {
    const wanted = find.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const states = row.dataset.state.split(" ");
      row.hidden = !texts.get(row).includes(wanted) || (show.value !== "" && !states.includes(show.value));
      count += !row.hidden;
    }
    shown.textContent = `${count} of ${rows.length}`;
  };
  find.addEventListener("input", filter);
  show.addEventListener("change", filter);
}

for (const group of all(".switch")) {
  const buttons = all("button", group);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      if (group.dataset.target) {
        document.getElementById(group.dataset.target).classList.toggle("overlay", button.dataset.value === "overlay");
      } else {
        group.closest("[data-show]").dataset.show = button.dataset.value;
      }
    });
  }
}

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
