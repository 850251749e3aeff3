(() => {
  const data = JSON.parse(byId("data").textContent);
  const entries = data.entries;
  const grid = byId("grid");
  const [LEAST_WIDTH, GAP, HEIGHT, AHEAD] = [300, 14, 250, 2]; // pixels; rows that are made beyond the window's edges
  const [search, kind, sort, only] = ["search", "kind", "sort", "only"].map(byId);

  const shownName = (text) => text.replace(/[\ud800-\udfff]/gu, "\ufffd");
  const elem = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const counted = (count, word) => count.toLocaleString("en") + " " + word + (count === 1 ? "" : "s");
  const path = ([folder, name]) => {
    const separator = data.folders[folder][0].includes("\\") ? "\\" : "/";
    return data.folders[folder][0].replace(/[\\/]$/, "") + separator + name;
  };
  const address = ([folder, name]) => data.folders[folder][1] + "/" + escaped(name);
  // A name that is no Unicode has bytes 128 to 255 as U+DC80 to U+DCFF.
  const escaped = (name) => [...name].map((letter) => {
    const code = letter.codePointAt(0);
    return code >= 0xdc80 && code <= 0xdcff ? "%" + (code - 0xdc00).toString(16) : encodeURIComponent(shownName(letter));
  }).join("");
  const small = (entry, view) => data.pictures + "/" + entry.k.slice(0, 2) + "/" + entry.k + (view ? "." + view : "") + ".jpg";

  // --- ticks: kept in this browser, by the folder of the results ------------------------------------------------------

  const store = "colorpipe-review-" + data.id;
  const ticks = new Set();
  try {
    const numbers = new Map(entries.map((entry, index) => [entry.n, index]));
    for (const name of JSON.parse(localStorage.getItem(store) || "[]")) if (numbers.has(name)) ticks.add(numbers.get(name));
  } catch (error) { /* a browser that keeps nothing */ }

  function tick(indices, on) {
    for (const index of indices) on ? ticks.add(index) : ticks.delete(index);
    try {
      localStorage.setItem(store, JSON.stringify([...ticks].map((index) => entries[index].n)));
    } catch (error) { /* as above */ }
    told();
    for (const [index, card] of cards) mark(card, index);
    if (open !== null) byId("tick-this").checked = ticks.has(open);
  }

  function told() {
    byId("ticked").textContent = ticks.size ? counted(ticks.size, "result") + " ticked" : "None ticked";
    for (const id of ["clear", "csv", "json"]) byId(id).disabled = !ticks.size;
  }

  // --- which are shown, in which order --------------------------------------------------------------------------------

  let shown = [];
  const texts = entries.map((entry) => (entry.n + (entry.i ? "\n" + path(entry.i) : "")).toLowerCase());
  const byName = new Intl.Collator("en", {numeric: true});
  let places = null; // of each entry in the order of the names, made when first needed
  const order = {
    "": (a, b) => entries[b].s - entries[a].s || a - b,
    name: (a, b) => places[a] - places[b],
  };

  function choose() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    shown = [];
    for (let index = 0; index < entries.length; index++) {
      if (only.checked && !ticks.has(index)) continue;
      if (kind.value === ":films" ? !entries[index].f : kind.value === ":well" ? entries[index].r.length
        : kind.value && !entries[index].r.some((reason) => reason[0] === kind.value)) continue;
      if (words.every((word) => texts[index].includes(word))) shown.push(index);
    }
    if (sort.value === "name" && places === null) {
      places = [];
      entries.map((_, index) => index).sort((a, b) => byName.compare(entries[a].n, entries[b].n)).forEach((index, place) => { places[index] = place; });
    }
    if (sort.value in order) shown.sort(order[sort.value]);
    else {
      const number = Number(sort.value), down = data.measures[number][1] ? -1 : 1;
      const value = (index) => entries[index].m[number];
      shown.sort((a, b) => (value(a) === null) - (value(b) === null) || down * (value(a) - value(b)) || a - b);
    }
    byId("count").textContent = shown.length === entries.length ? counted(entries.length, "result")
      : shown.length.toLocaleString("en") + " of " + counted(entries.length, "result");
    byId("nothing").hidden = shown.length > 0;
    byId("tick-shown").disabled = !shown.length;
  }

  // --- the grid: only the rows in the window exist --------------------------------------------------------------------

  const cards = new Map();
  let columns = 1, width = LEAST_WIDTH, asked = false;

  function make(index) {
    const entry = entries[index];
    const card = elem("article", "card");
    card.setAttribute("role", "listitem");
    const open = elem("button", "open");
    open.type = "button";
    const shot = elem("span", "shot");
    if (entry.k) {
      const image = new Image(2 * entry.z[0], entry.z[1]);
      image.alt = "";
      image.decoding = "async";
      image.src = small(entry);
      shot.append(image);
    } else shot.textContent = "no picture";
    const bar = elem("span", "weight");
    bar.append(elem("span"));
    bar.firstChild.style.width = 100 * entry.s + "%";
    const cut = Math.max(entry.n.lastIndexOf("/"), entry.n.lastIndexOf("\\")) + 1;
    const name = elem("span", "name", shownName(entry.n.slice(cut)));
    name.title = shownName(entry.n);
    const why = elem("span", "why", entry.r.length ? entry.r.map((reason) => data.kinds[reason[0]] + ": " + shownName(reason[2])).join(" · ") : "nothing stands out");
    open.append(shot, bar, name, ...(cut ? [elem("span", "folder", shownName(entry.n.slice(0, cut)))] : []), why);
    open.addEventListener("click", () => detail(index));
    const label = elem("label", "tick");
    const box = elem("input");
    box.type = "checkbox";
    box.tabIndex = -1; // space on the card ticks it: half as many stops of the Tab key
    box.setAttribute("aria-label", "tick " + shownName(entry.n));
    box.addEventListener("change", () => tick([index], box.checked));
    label.append(box);
    card.append(open, label);
    if (entry.f) card.append(elem("span", "film", "film"));
    mark(card, index);
    return card;
  }

  function mark(card, index) {
    card.classList.toggle("ticked", ticks.has(index));
    card.querySelector("input").checked = ticks.has(index);
    card.querySelector(".open").setAttribute("aria-description", ticks.has(index) ? "ticked" : "");
  }

  function render() {
    asked = false;
    const top = Math.max(0, -grid.getBoundingClientRect().top);
    const first = Math.max(0, (Math.floor(top / (HEIGHT + GAP)) - AHEAD) * columns);
    const last = Math.min(shown.length, (Math.ceil((top + innerHeight) / (HEIGHT + GAP)) + AHEAD) * columns);
    const wanted = new Map();
    for (let place = first; place < last; place++) wanted.set(shown[place], place);
    const focused = document.activeElement && document.activeElement.closest(".card");
    for (const [index, card] of cards) {
      if (wanted.has(index)) continue;
      if (card === focused && shown.includes(index)) wanted.set(index, shown.indexOf(index)); // else focus would be lost
      else { card.remove(); cards.delete(index); }
    }
    const ordered = [...wanted].sort((a, b) => a[1] - b[1]);
    let before = null;
    for (const [index, place] of ordered) {
      let card = cards.get(index);
      if (!card) cards.set(index, card = make(index));
      card.style.width = width + "px";
      card.style.height = HEIGHT + "px";
      card.style.transform = "translate(" + (place % columns) * (width + GAP) + "px, " + Math.floor(place / columns) * (HEIGHT + GAP) + "px)";
      card.setAttribute("aria-posinset", place + 1);
      card.setAttribute("aria-setsize", shown.length);
      if (card !== focused && (before ? before.nextSibling !== card : grid.firstChild !== card)) before ? before.after(card) : grid.prepend(card);
      before = card;
    }
  }

  function soon() {
    if (!asked) requestAnimationFrame(render);
    asked = true;
  }

  function layOut() {
    const room = grid.clientWidth;
    columns = Math.max(1, Math.floor((room + GAP) / (LEAST_WIDTH + GAP)));
    width = Math.floor((room - (columns - 1) * GAP) / columns);
    grid.style.height = Math.ceil(shown.length / columns) * (HEIGHT + GAP) + "px";
    render();
  }

  function anew() {
    choose();
    layOut();
  }

  function reach(place) {
    const at = grid.getBoundingClientRect().top + scrollY + Math.floor(place / columns) * (HEIGHT + GAP);
    const bottom = innerHeight - byId("ticked").parentElement.offsetHeight - HEIGHT - GAP;
    if (at < scrollY + GAP) scrollTo(0, at - GAP);
    else if (at > scrollY + bottom) scrollTo(0, at - bottom);
    render();
    cards.get(shown[place]).querySelector(".open").focus({preventScroll: true});
  }

  addEventListener("scroll", soon, {passive: true});
  new ResizeObserver(layOut).observe(byId("bar"));
  for (const control of [kind, sort, only]) control.addEventListener("change", () => { anew(); scrollTo(0, 0); });
  search.addEventListener("input", () => { anew(); scrollTo(0, 0); });
  byId("bar").addEventListener("submit", (event) => event.preventDefault());

  grid.addEventListener("keydown", (event) => {
    const card = event.target.closest(".card");
    if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = [...cards].find((pair) => pair[1] === card)[0], place = shown.indexOf(index);
    const rows = Math.max(1, Math.floor(innerHeight / (HEIGHT + GAP)) - 1);
    const by = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: rows * columns, PageUp: -rows * columns}[event.key];
    if (event.key === " ") tick([index], !ticks.has(index));
    else if (event.key === "Home" || event.key === "End") reach(event.key === "Home" ? 0 : shown.length - 1);
    else if (by) { if (place + by >= 0 && place + by < shown.length) reach(place + by); }
    else return;
    event.preventDefault();
  });
  grid.addEventListener("keyup", (event) => { if (event.key === " ") event.preventDefault(); }); // no click of the button
  document.addEventListener("keydown", (event) => {
    const writing = event.target.matches("input[type=search], select");
    if (event.key === "/" && !writing && open === null) { search.focus(); event.preventDefault(); }
    if (event.key === "ArrowDown" && event.target === search && shown.length) { reach(0); event.preventDefault(); }
  });

  // --- one result, large ----------------------------------------------------------------------------------------------

  const dialog = byId("detail"), slider = makeSlider();
  let open = null;

  function side(entry, which, word) {
    const place = which === "before" ? entry.i : entry.o;
    const view = entry.v && entry.v.includes(which) ? small(entry, which) : null;
    const file = place && !(which === "after" && entry.x) && !entry.f ? address(place) : null;
    return {src: view || file || (entry.k ? small(entry) : "data:,"), alt: shownName(entry.n) + ", " + word, word, instead: entry.k ? small(entry) : ""};
  }

  function detail(index) {
    const entry = entries[index];
    open = index;
    byId("detail-title").textContent = shownName(entry.n);
    byId("compare").hidden = !entry.k;
    if (entry.k) {
      byId("compare").style.aspectRatio = entry.z[0] + " / " + entry.z[1];
      slider.show(side(entry, "before", "before"), side(entry, entry.x ? "before" : "after", entry.x ? "no result" : "after"));
    }
    byId("tick-this").checked = ticks.has(index);
    for (const [id, at] of [["open-source", entry.i], ["open-result", entry.x ? undefined : entry.o]]) {
      byId(id).hidden = !at;
      if (at) byId(id).href = address(at);
    }
    byId("why").replaceChildren(...(entry.r.length ? entry.r : [["", 0, "nothing stands out"]]).map(([of, , text]) => {
      const line = elem("li");
      if (of) line.append(elem("b", "", data.kinds[of]), ": ");
      line.append(shownName(text));
      return line;
    }));
    const facts = data.measures.map(([word], number) => [word, entry.m[number]]).filter((pair) => pair[1] !== null);
    if (entry.i) facts.push(["original", shownName(path(entry.i))]);
    facts.push(["result", shownName(path(entry.o))], ...(entry.t || []).map((note) => ["note", shownName(note)]));
    byId("facts").replaceChildren(...facts.flatMap(([word, value]) => [elem("dt", "", word), elem("dd", "", String(value))]));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }

  function step(by) {
    const place = shown.indexOf(open) + by;
    if (place >= 0 && place < shown.length) detail(shown[place]);
  }

  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  byId("close").addEventListener("click", () => dialog.close());
  byId("tick-this").addEventListener("change", (event) => tick([open], event.target.checked));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key === "j" || key === "k") step(key === "j" ? 1 : -1);
    else if (key === "t") tick([open], !ticks.has(open));
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("close", () => {
    const place = shown.indexOf(open);
    open = null;
    if (place >= 0) reach(place);
  });

  // --- export ---------------------------------------------------------------------------------------------------------

  function save(name, type, text) {
    const link = elem("a");
    link.href = URL.createObjectURL(new Blob([text], {type}));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  const rows = () => [...ticks].sort((a, b) => a - b).map((index) => {
    const entry = entries[index];
    return {
      input: path(entry.i || entry.o), output: path(entry.o), look: entry.s,
      reasons: entry.r.map((reason) => data.kinds[reason[0]] + ": " + reason[2]).join("; "),
    };
  });
  const quoted = (value) => /[",\r\n]|^\s|\s$/.test(value) ? '"' + value.replaceAll('"', '""') + '"' : value;
  byId("csv").addEventListener("click", () => {
    const lines = rows().map((row) => Object.values(row).map((value) => quoted(String(value))).join(","));
    save("ticked.csv", "text/csv", ["input,output,look,reasons", ...lines].map((line) => line + "\r\n").join(""));
  });
  byId("json").addEventListener("click", () => save("ticked.json", "application/json", JSON.stringify(rows(), null, 1) + "\n"));
  byId("tick-shown").addEventListener("click", () => tick(shown, true));
  byId("clear").addEventListener("click", () => { tick([...ticks], false); if (only.checked) anew(); });

  // --- start ----------------------------------------------------------------------------------------------------------

  const counts = {};
  for (const entry of entries) for (const of of new Set(entry.r.map((reason) => reason[0]))) counts[of] = (counts[of] || 0) + 1;
  const add = (value, word, count) => count && kind.append(new Option(word + " (" + count.toLocaleString("en") + ")", value));
  for (const of of Object.keys(data.kinds)) add(of, data.kinds[of], counts[of]);
  add(":films", "films", entries.filter((entry) => entry.f).length);
  add(":well", "nothing stands out", entries.filter((entry) => !entry.r.length).length);
  data.measures.forEach(([word], number) => {
    if (entries.some((entry) => entry.m[number] !== null)) sort.append(new Option(word, number));
  });
  told();
  anew();
})();
