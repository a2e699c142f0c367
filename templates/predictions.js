// The table of predictions: filters, and links elsewhere on the page that set them.
const filters = document.getElementById("filters");
if (filters) {
  const fields = Object.fromEntries(all("input, select", filters).map((field) => [field.name, field]));
  const rows = Array.from(document.getElementById("predictions-table").tBodies[0].rows);
  const facts = new Map(rows.map((row) => {
    const [id, truth, said] = [0, 1, 2].map((i) => row.cells[i].textContent);
    return [row, { text: `${id}\n${truth}\n${said}`.toLowerCase(), true: truth, said, split: row.dataset.split,
                   show: row.dataset.state.split(" ") }];
  }));
  const wants = (name, value) => value === "" || fields[name].value === "" || value === fields[name].value;
  const filter = () => {
    const text = fields.text.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const fact = facts.get(row);
      row.hidden = !fact.text.includes(text) || (fields.show.value !== "" && !fact.show.includes(fields.show.value))
        || !["split", "true", "said"].every((name) => wants(name, fact[name]));
      count += !row.hidden;
    }
    document.getElementById("shown").textContent = `${count} of ${rows.length}`;
  };
  const set = (values) => {
    for (const [name, field] of Object.entries(fields)) field.value = values[name] ?? "";
    filter();
  };
  filters.addEventListener("input", filter);
  document.getElementById("reset").addEventListener("click", () => set({}));
  for (const link of all("a[data-filter]")) link.addEventListener("click", () => set(link.dataset));
}
