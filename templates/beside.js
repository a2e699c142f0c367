// Lays two images, or two groups, next to each other: choose one, choose another.
const beside = document.getElementById("beside");
if (beside) {
  let first = null;
  const nameOf = (whole) => whole.querySelector("h3, h5").textContent.replace(/\s+/g, " ").trim();
  const said = document.getElementById("beside-said");
  const choose = (button, whole) => {
    if (first && (first.whole === whole || first.kind !== button.dataset.kind)) first.button.setAttribute("aria-pressed", "false");
    if (first && first.whole === whole) {
      first = null;
    } else if (!first || first.kind !== button.dataset.kind) {
      first = { button, whole, kind: button.dataset.kind };
      button.setAttribute("aria-pressed", "true");
    } else {
      const columns = [first.whole, whole].map(copy);
      beside.querySelector(".beside-body").replaceChildren(...columns);
      first.button.setAttribute("aria-pressed", "false");
      first = null;
      beside.showModal();
    }
    said.textContent = first ? `${nameOf(first.whole)}: now choose another ${first.kind} to lay beside it` : "";
    said.hidden = !first;
  };
  const copy = (whole) => {
    const column = document.createElement("div");
    const clone = whole.cloneNode(true);
    [clone, ...all("[id]", clone)].forEach((element) => element.removeAttribute("id"));
    all(".lay-beside", clone).forEach((button) => button.remove());
    all("[role=button]", clone).forEach((stack) => { stack.removeAttribute("tabindex"); stack.setAttribute("role", "img"); });
    all("details", clone).forEach((fold) => { fold.open = fold.matches(".more"); });
    column.append(clone);
    return column;
  };
  const button = (kind, whole, after) => {
    const made = document.createElement("button");
    Object.assign(made, { type: "button", className: "lay-beside", textContent: "lay beside another" });
    made.dataset.kind = kind;
    made.setAttribute("aria-pressed", "false");
    made.addEventListener("click", () => choose(made, whole));
    after.append(made);
  };
  all("#explanations .panel").forEach((panel) => button("image", panel, panel.querySelector("header")));
  all("#explanations .group").forEach((group) => button("group", group, group.querySelector("h3")));
  beside.addEventListener("click", (event) => {
    if (event.target === beside || event.target.closest("[data-close]")) beside.close();
  });
}
