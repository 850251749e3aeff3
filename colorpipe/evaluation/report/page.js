
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);

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

  // --- before and after -----------------------------------------------------------------------------------------------

  const indices = Object.keys(data.pictures);
  if (!indices.length) return;
  const [picture, left, right, slider] = ["picture", "left", "right", "slider"].map(byId);
  const box = byId("compare");
  const {grey, truth} = data.views;
  const views = [grey, truth, ...data.methods];
  const word = (label) => label === grey ? "grey" : label === truth ? "truth" : label;

  picture.append(...indices.map((index) => new Option(data.pictures[index].name, index)));
  for (const side of [left, right]) side.append(...views.map((label) => new Option(word(label), label)));
  left.value = grey;
  right.value = data.methods[0] || truth;

  function move() {
    box.style.setProperty("--at", slider.value + "%");
    slider.setAttribute("aria-valuetext", slider.value + " per cent " + word(left.value) + ", the rest " + word(right.value));
  }

  function variant(label, shown) {
    const button = document.createElement("button");
    const image = new Image();
    image.src = shown.images[label];
    image.alt = "";
    const name = document.createElement("b");
    name.textContent = word(label);
    const scores = (shown.scores[label] || []).map((text) => {
      const line = document.createElement("span");
      line.textContent = text;
      return line;
    });
    button.type = "button";
    button.setAttribute("aria-pressed", String(label === right.value));
    button.append(image, name, ...scores);
    button.addEventListener("click", () => { right.value = label; show(); });
    return button;
  }

  function show() {
    const shown = data.pictures[picture.value];
    for (const [side, image, chip] of [[left, "under", "left-chip"], [right, "over", "right-chip"]]) {
      for (const option of side.options) option.disabled = !(option.value in shown.images);
      if (!(side.value in shown.images)) side.value = grey; // a method that failed on this picture
      byId(chip).textContent = word(side.value);
      byId(image).src = shown.images[side.value];
      byId(image).alt = shown.name + ", " + word(side.value);
    }
    byId("variants").replaceChildren(...views.filter((label) => label in shown.images).map((label) => variant(label, shown)));
    move();
  }

  // As wide as the page, but never higher than the window.
  byId("under").addEventListener("load", (event) => {
    const {naturalWidth: width, naturalHeight: height} = event.target;
    box.style.aspectRatio = width + " / " + height;
    box.style.width = "min(100%, calc(70vh * " + (width / height).toFixed(4) + "))";
    for (const image of box.querySelectorAll("img")) image.classList.toggle("coarse", Math.max(width, height) < 160);
  });

  function step(by) {
    picture.selectedIndex = (picture.selectedIndex + by + indices.length) % indices.length;
    show();
  }

  picture.addEventListener("change", show);
  left.addEventListener("change", show);
  right.addEventListener("change", show);
  slider.addEventListener("input", move);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));

  // A picture's name in the table, and its dot in a plot, lead here.
  document.addEventListener("click", (event) => {
    const from = event.target.closest("[data-picture]");
    if (!from || !(from.dataset.picture in data.pictures)) return;
    picture.value = from.dataset.picture;
    const label = data.rows[from.dataset.row];
    if (label !== grey) right.value = label;
    show();
    byId("viewer").scrollIntoView({behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth"});
    if (from.matches("button")) slider.focus({preventScroll: true});
  });
  show();
})();
