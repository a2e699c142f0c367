// Enlarges a map or photograph of a panel; arrows lead to its neighbours, the same view of other images, Escape back.
const viewer = document.getElementById("viewer");
if (viewer) {
  const body = viewer.querySelector(".viewer-body");
  const views = (panel) => all(".stack", panel).filter((stack) => !stack.matches(".none"));
  const name = (stack) => stack.closest(".tile").querySelector("figcaption").textContent.trim();
  let now = null;

  const show = (stack) => {
    now = stack;
    const panel = stack.closest(".panel");
    const key = Array.from(panel.classList).find((word) => /^p\d+$/.test(word));
    const large = stack.cloneNode(true);
    ["tabindex", "role", "aria-label"].forEach((attribute) => large.removeAttribute(attribute));
    body.className = `viewer-body ${key}`;
    body.setAttribute("style", panel.getAttribute("style"));
    body.replaceChildren(large);
    const peak = stack.closest(".tile").querySelector(".peak");
    document.getElementById("viewer-title").textContent =
      [panel.querySelector("h5").textContent, name(stack), peak ? peak.textContent : ""].filter(Boolean).join(" · ");
  };
  const along = (list, from, step) => list[(list.indexOf(from) + step + list.length) % list.length];
  const byTile = (step) => show(along(views(now.closest(".panel")), now, step));
  const byImage = (step) => {
    const panel = now.closest(".panel");
    const [title, place] = [name(now), views(panel).filter((other) => name(other) === name(now)).indexOf(now)];
    const others = all(".panel", panel.closest(".group"));
    for (let next = along(others, panel, step); next !== panel; next = along(others, next, step)) {
      const same = views(next).filter((stack) => name(stack) === title)[place];
      if (same) return show(same);
    }
  };

  for (const stack of all(".panel .stack:not(.none)")) {
    stack.tabIndex = 0;
    stack.setAttribute("role", "button");
    stack.setAttribute("aria-label", `Enlarge: ${name(stack)}`);
    const open = () => { show(stack); viewer.showModal(); };
    stack.addEventListener("click", open);
    stack.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); }
    });
  }
  viewer.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [byTile, -1], ArrowRight: [byTile, 1], ArrowUp: [byImage, -1], ArrowDown: [byImage, 1] }[event.key];
    if (move) { event.preventDefault(); move[0](move[1]); }
  });
  viewer.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (event.target === viewer || event.target.closest(".viewer-body") || (button && "close" in button.dataset)) viewer.close();
    else if (button && button.dataset.tile) byTile(Number(button.dataset.tile));
    else if (button && button.dataset.image) byImage(Number(button.dataset.image));
  });
  viewer.addEventListener("close", () => { if (now) now.focus({ preventScroll: true }); });
}
