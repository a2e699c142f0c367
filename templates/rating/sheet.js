"use strict";
// Keeps the answers in this browser, counts them, and saves them as a file. Nothing leaves the page otherwise.
const byId = (id) => document.getElementById(id);
const form = byId("cards");
const fieldsets = Array.from(form.querySelectorAll("fieldset"));
const chosen = (fieldset) => fieldset.querySelector("input:checked");
const PLACE = `fruitaudit-${HEAD.sheet}`;

// A browser may refuse to keep anything: the page then works for one sitting.
const keep = () => { try { localStorage.setItem(PLACE, JSON.stringify(answers())); } catch { /* see above */ } };
const kept = () => { try { return JSON.parse(localStorage.getItem(PLACE)) || {}; } catch { return {}; } };
const forget = () => { try { localStorage.removeItem(PLACE); } catch { /* see above */ } };

function answers() {
  const ratings = {};
  for (const input of fieldsets.map(chosen).filter(Boolean)) ratings[input.name] = Number(input.value) || null;
  return { ...HEAD, rater: byId("rater").value.trim(), ratings };
}

function count() {
  const open = fieldsets.filter((fieldset) => !chosen(fieldset)).length;
  byId("count").textContent = `${fieldsets.length - open} of ${fieldsets.length} rated`;
  byId("done").value = fieldsets.length - open;
  byId("next").disabled = open === 0;
  byId("left").textContent = open === 0 ? "All maps are rated. Thank you!"
    : `${open} of ${fieldsets.length} maps are not rated yet. You can save all the same, and go on later.`;
}

function go(fieldset) {
  (chosen(fieldset) || fieldset.querySelector("input")).focus({ preventScroll: true });
  const { top, bottom } = fieldset.getBoundingClientRect();
  if (top < 0 || bottom > innerHeight - 60) fieldset.scrollIntoView({ block: "center" });
}

// The first map without an answer after this one, else before it; none where all have one.
function nextOpen(from) {
  const at = fieldsets.indexOf(from);
  return [...fieldsets.slice(at + 1), ...fieldsets.slice(0, at + 1)].find((fieldset) => !chosen(fieldset));
}

form.addEventListener("change", () => { keep(); count(); byId("saved").textContent = ""; });
byId("rater").addEventListener("input", keep);
byId("next").addEventListener("click", () => go(nextOpen(null)));

document.addEventListener("keydown", (event) => {
  const now = document.activeElement?.closest("fieldset");
  if (!/^[0-5]$/.test(event.key) || !now || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  now.querySelector(`input[value="${event.key}"]`).click();
  const after = nextOpen(now);
  if (after) go(after);
});

byId("save").addEventListener("click", () => {
  const file = answers();
  if (!file.rater) {
    byId("saved").textContent = "Please write your name or initials first.";
    byId("rater").focus();
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(file, null, 1)], { type: "application/json" }));
  link.download = `ratings-${file.rater.replace(/[^\p{L}\p{N}]+/gu, "-")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  byId("saved").textContent = `Saved as ${link.download}, among your downloads. Please send this file back.`;
});

byId("clear").addEventListener("click", () => {
  if (!confirm("Forget all answers on this page, for another person to start afresh?")) return;
  form.reset();
  byId("rater").value = "";
  forget();
  count();
  byId("saved").textContent = "";
  scrollTo(0, 0);
});

for (const button of document.querySelectorAll(".switch button")) {
  button.addEventListener("click", () => {
    form.classList.toggle("overlay", button.dataset.value === "overlay");
    for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
  });
}

const before = kept();
byId("rater").value = before.rater || "";
for (const [name, value] of Object.entries(before.ratings || {})) {
  const input = form.querySelector(`input[name="${CSS.escape(name)}"][value="${Number(value) || 0}"]`);
  if (input) input.checked = true;
}
byId("progress").hidden = false;
count();
