(() => {
  const data = JSON.parse(byId("data").textContent);

  // --- tables ---------------------------------------------------------------------------------------------------------

  function compare(a, b, down) {
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined); // what is missing comes last
    const numbers = [Number(a), Number(b)];
    const order = numbers.some(Number.isNaN) ? a.localeCompare(b, undefined, {numeric: true}) : numbers[0] - numbers[1];
    return down ? -order : order;
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const down = now === "none" ? head.dataset.down === "1" : now === "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.cells[column].dataset.value;
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b), down)));
    }));
  }
  document.querySelectorAll("table").forEach(sortable);

  const filter = byId("filter");
  filter.append(...data.rows.map((label) => new Option(label, label)));
  filter.addEventListener("change", () => {
    for (const row of byId("pictures").tBodies[0].rows) {
      row.hidden = filter.value !== "" && row.cells[1].dataset.value !== filter.value;
    }
  });

  // --- a picture's name in the table, and its dot in a plot, lead to the viewer ---------------------------------------

  const viewer = makeViewer(data);
  document.addEventListener("click", (event) => {
    const from = event.target.closest("[data-picture]");
    if (viewer === null || !from || !(from.dataset.picture in data.pictures)) return;
    viewer.open(from.dataset.picture, data.rows[from.dataset.row]);
    if (from.matches("button")) viewer.focus();
  });
})();
