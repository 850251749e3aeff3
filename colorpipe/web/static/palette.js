/** The panel of colours: all that exist at the place's lightness, what the network thought likely there, the album's. */

import { cssOf, exists, fit, fromHex, fromHue, hexOf, mostChroma, rgbOf, toHue, wordsOf } from "./colour.js";
import { byId, h, icon } from "./dom.js";
import { say } from "./messages.js";

/** @typedef {import("./colour.js").AB} AB */

/**
 * @param {import("./editor.js").Editor} editor
 */
export function palette(editor) {
  const { store } = editor;
  const plane = new Plane(editor);
  const chip = h("div", { class: "chip", "aria-hidden": "true" });
  const words = h("p", { class: "colour-words" });
  const hex = h("input", { type: "text", maxlength: "7", spellcheck: "false", autocomplete: "off", "aria-label": "Colour as red, green, blue, such as #a03020", placeholder: "#a03020" });
  hex.addEventListener("change", () => {
    const ab = fromHex(hex.value);
    hex.setAttribute("aria-invalid", String(!ab));
    if (ab) editor.choose(fit(store.get("L"), ab));
    else say("A colour is written as #a03020.");
  });
  hex.addEventListener("blur", () => showNow());
  const likely = h("div", { class: "swatches", role: "group", "aria-label": "What the network thought likely at this place" });
  const likelyNote = h("span", { class: "note" });
  const likelyHint = h("p", { class: "hint" });
  const named = h("div", { class: "named", role: "group", "aria-label": "Named colours of the album" });
  const name = h("input", { type: "text", maxlength: "100", "aria-label": "Name for this colour", placeholder: "Name this colour, such as coat" });
  const keep = h("button", { type: "submit", class: "button" }, "Keep");
  const form = h("form", { class: "name-row", onsubmit: (/** @type {Event} */ event) => { event.preventDefault(); keepName(editor, name); } }, name, keep);
  byId("colour").replaceChildren(
    h("div", { class: "colour-top" }, plane.element, h("div", { class: "colour-now" }, chip, words, hex)),
    h("div", { class: "row" }, h("h3", {}, "Likely here ", likelyNote), likely, likelyHint),
    h("div", { class: "row" }, h("h3", {}, "Named in the album"), named, form),
    similar(editor),
  );

  const showNow = () => {
    const [L, ab] = [store.get("L"), fit(store.get("L"), store.get("ab"))];
    chip.style.background = cssOf(L, ab);
    words.replaceChildren(h("b", {}, store.get("name") || wordsOf(ab)), h("span", { class: "note" }, `at lightness ${Math.round(L)}`));
    if (document.activeElement !== hex) hex.value = hexOf(L, ab);
    hex.removeAttribute("aria-invalid");
    const dot = byId("tool-colour");
    dot.style.background = store.get("kind") === "paint" ? cssOf(L, ab) : store.get("kind") === "neutral" ? "#8a8a8a" : "transparent";
    plane.show();
    mark();
  };
  const mark = () => {
    const now = fit(store.get("L"), store.get("ab"));
    for (const swatch of likely.children) {
      const ab = /** @type {any} */ (swatch).ab;
      swatch.setAttribute("aria-pressed", String(Math.hypot(ab[0] - now[0], ab[1] - now[1]) < 0.8));
    }
    for (const button of named.children) button.setAttribute("aria-pressed", String(/** @type {any} */ (button).name === store.get("name") && store.get("name") !== ""));
  };
  const showPlace = () => {
    const place = store.get("place");
    const found = place?.likely ?? [];
    likelyNote.textContent = found.length && place.likely_from ? `by ${place.likely_from}` : "";
    likelyHint.textContent = !place ? "Click on the picture: here is what the network thinks it could be."
      : found.length ? "" : "The network has no other colours for this place.";
    likely.replaceChildren(...found.map((/** @type {any} */ mode) => {
      const percent = Math.round(mode.share * 100);
      const swatch = h("button", {
        type: "button", class: "swatch", "aria-pressed": "false", title: wordsOf(mode.ab),
        "aria-label": `${wordsOf(mode.ab)}, ${percent < 1 ? "less than 1" : percent} percent likely`,
        onclick: () => editor.choose(mode.ab),
      }, h("small", { "aria-hidden": "true" }, percent < 1 ? "<1%" : `${percent}%`));
      swatch.style.background = mode.hex;
      swatch.style.flexGrow = String(1 + 3 * mode.share);
      return Object.assign(swatch, { ab: mode.ab });
    }));
    mark();
  };
  const showNamed = () => {
    const colours = Object.entries(editor.named);
    named.hidden = colours.length === 0;
    named.replaceChildren(...colours.map(([title, ab]) => {
      const dot = h("span", { class: "dot" });
      dot.style.background = cssOf(60, ab);
      return h("button", {
        type: "button", name: title, "aria-pressed": "false", "aria-label": `${title}: ${wordsOf(ab)}`,
        onclick: () => editor.choose(ab, { name: title }),
      }, dot, title);
    }));
    mark();
  };
  const showFor = () => {
    const { selected } = store.values;
    byId("colour-for").textContent = editor.strokes[selected] ? `of stroke ${selected + 1}` : "of the next stroke";
  };
  store.on(["L", "ab", "name", "kind"], showNow);
  store.on(["place"], showPlace);
  store.on(["work", "version"], showNamed);
  store.on(["selected", "version"], showFor);
  [showNow, showPlace, showNamed, showFor].forEach((show) => show());
}

/**
 * Keeps the colour under a name, in the album's `colours.json`.
 *
 * @param {import("./editor.js").Editor} editor
 * @param {HTMLInputElement} field
 */
async function keepName(editor, field) {
  const work = editor.work;
  const name = field.value.trim();
  if (!work || !name) {
    field.focus();
    return;
  }
  const ab = fit(editor.get("L"), editor.get("ab"));
  try {
    const { colours } = await editor.api.send("PUT", `/api/items/${work.id}/colours`, { name, ab });
    const { folder } = /** @type {any} */ (work.detail);
    for (const other of editor.works.values()) if (other.detail.folder === folder) other.detail = { ...other.detail, colours };
    field.value = "";
    editor.choose(ab, { name });
    work.pictured = -1;
    editor.changed();
    say(`Kept as ${name}, for every picture of this folder.`);
  } catch (error) {
    editor.tell(error);
  }
}

/** The colours that sRGB can show at one lightness, as a surface: hue around, strength outward. */
class Plane {
  /** @param {import("./editor.js").Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.canvas = h("canvas", { width: 336, height: 336 });
    this.thumb = h("span", { class: "plane-thumb" });
    this.element = h("div", {
      class: "plane", id: "plane", role: "slider", tabindex: "0", "aria-label": "Colour", "aria-roledescription": "colour plane",
      "aria-valuemin": "0", "aria-valuemax": "359", title: "All colours that exist at this lightness. Left and right turn the hue, up and down the strength.",
    }, this.canvas, this.thumb);
    this.drawn = -1;
    this.frame = { scale: 1, a: 0, b: 0 };
    this.element.addEventListener("pointerdown", (event) => {
      this.element.setPointerCapture(event.pointerId);
      this.drag = `plane-${Date.now()}`;
      this.#take(event);
    });
    this.element.addEventListener("pointermove", (event) => { if (this.element.hasPointerCapture(event.pointerId)) this.#take(event); });
    this.element.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The lightness whose colours are shown. In black and in white there are none to choose from, but a dab there spreads. */
  get L() {
    return Math.min(Math.max(Math.round(this.editor.get("L")), 20), 93);
  }

  /** Draws the surface if the lightness is another, and sets the thumb. */
  show() {
    const { L } = this;
    if (L !== this.drawn) this.#draw(L);
    const ab = fit(L, this.editor.get("ab"));
    const { scale, a, b } = this.frame;
    this.thumb.style.left = `${50 + (ab[0] - a) * scale * 100}%`;
    this.thumb.style.top = `${50 - (ab[1] - b) * scale * 100}%`;
    this.thumb.style.background = cssOf(L, ab);
    const [hue, chroma] = toHue(ab);
    this.element.setAttribute("aria-valuenow", String(Math.round(hue) % 360));
    this.element.setAttribute("aria-valuetext", `${wordsOf(ab)}, hue ${Math.round(hue)} degrees, strength ${Math.round(chroma)}`);
  }

  /** @param {number} L */
  #draw(L) {
    this.drawn = L;
    const reach = Array.from({ length: 72 }, (_, step) => fromHue(step * 5, mostChroma(L, step * 5)));
    const [low, high] = [0, 1].map((axis) => Math.min(...reach.map((ab) => ab[axis]))).map((least, axis) => [least, Math.max(...reach.map((ab) => ab[axis]))]);
    this.frame = { scale: 0.92 / Math.max(low[1] - low[0], high[1] - high[0]), a: (low[0] + low[1]) / 2, b: (high[0] + high[1]) / 2 };
    const { width } = this.canvas;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    const image = context.createImageData(width, width);
    for (let row = 0; row < width; row += 1) {
      for (let column = 0; column < width; column += 1) {
        const ab = this.#at((column + 0.5) / width, (row + 0.5) / width);
        if (!exists(L, ab)) continue;
        image.data.set([...rgbOf(L, ab), 255], (row * width + column) * 4);
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** @param {number} x @param {number} y @returns {AB} */
  #at(x, y) {
    const { scale, a, b } = this.frame;
    return [a + (x - 0.5) / scale, b + (0.5 - y) / scale];
  }

  /** @param {PointerEvent} event */
  #take(event) {
    const box = this.element.getBoundingClientRect();
    const ab = this.#at((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    this.editor.choose(fit(this.L, ab), { key: this.drag });
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = event.shiftKey ? 4 : 1;
    const [turn, stronger] = /** @type {Record<string, [number, number]>} */ ({
      ArrowLeft: [-3, 0], ArrowRight: [3, 0], ArrowUp: [0, 2], ArrowDown: [0, -2],
    })[event.key] ?? [0, 0];
    if (!turn && !stronger) return;
    event.preventDefault();
    event.stopPropagation();
    const { L } = this;
    const [hue, chroma] = toHue(fit(L, this.editor.get("ab")));
    const next = (hue + turn * step + 360) % 360;
    const strength = Math.min(Math.max(chroma + stronger * step, 0.5), mostChroma(L, next));
    this.editor.choose(fromHue(next, strength), { key: "plane-keys" });
  }
}

/**
 * Places that look alike: found for a stroke, confirmed by a click.
 *
 * @param {import("./editor.js").Editor} editor
 */
function similar(editor) {
  const { store, view } = editor;
  const rings = byId("rings");
  const find = h("button", { type: "button", class: "button", onclick: () => search() }, icon("similar"), "Find places alike");
  const list = h("ul", { "aria-label": "Places that look alike in other pictures" });
  const all = h("button", { type: "button", class: "button", onclick: () => {
    editor.addStrokes(found.filter(here).flatMap((place) => place.places.map((at) => ({ ...stroke, points: [at], radius: place.radius }))));
    clear();
  } });
  const none = h("button", { type: "button", class: "link", onclick: () => clear() }, "Dismiss");
  const box = h("div", { class: "similar" }, find, all, none, list);
  /** @typedef {{item: number, frame: number, x: number, y: number, radius: number, likeness: number}} Spot */
  /** @typedef {Spot & {places: [number, number][]}} Alike a region: its best spot, and all places of it */
  /** @type {Alike[]} */
  let found = [];
  /** @type {any} */
  let stroke = null;
  let looking = false;

  /** @param {Alike} place */
  const here = (place) => place.item === editor.work?.id && place.frame === store.get("frame");
  const last = () => {
    const { strokes } = editor;
    return strokes[store.get("selected")] ?? strokes.at(-1);
  };

  const search = async () => {
    const work = editor.work;
    stroke = last();
    if (!work || !stroke) return;
    const where = store.get("items").length > 1 ? "album" : "item";
    [looking, found] = [true, []];
    show();
    try {
      const { places } = await editor.api.send("POST", `/api/items/${work.id}/look-alikes`, { frame: store.get("frame"), stroke, in: where });
      if (work === editor.work) found = regions(places);
      say(found.length ? `${found.length} ${found.length > 1 ? "places look" : "place looks"} alike. A click confirms one.` : "Nothing else looks alike.");
    } catch (error) {
      editor.tell(error);
    }
    looking = false;
    show();
  };

  /** @param {Alike} place */
  const add = async (place) => {
    found = found.filter((one) => one !== place);
    const points = place.places.map((at) => ({ ...stroke, points: [at], radius: place.radius }));
    if (here(place)) editor.addStrokes(points);
    else await addElsewhere(editor, place, points);
    show();
  };
  const clear = () => {
    found = [];
    show();
  };
  const show = () => {
    const local = found.filter(here);
    const others = found.filter((place) => !here(place));
    const one = last();
    find.disabled = !one || looking;
    find.lastChild?.replaceWith(looking ? "Looking for places alike" : "Find places alike");
    find.hidden = found.length > 0;
    all.hidden = local.length === 0;
    none.hidden = found.length === 0;
    all.textContent = `Paint all ${local.length} here`;
    rings.replaceChildren(...local.map((place) => Object.assign(h("button", {
      type: "button", class: "ring", title: "Looks alike: paint it too",
      "aria-label": `Paint this place too, ${Math.round(place.likeness * 100)} percent alike, at ${Math.round(place.x * 100)}, ${Math.round(place.y * 100)} percent`,
      onclick: () => add(place),
    }, icon("plus")), { place })));
    list.hidden = others.length === 0;
    list.replaceChildren(...others.map((place) => {
      const item = store.get("items").find((other) => other.id === place.item);
      const where = `${item?.name ?? "another picture"}${place.frame ? `, frame ${place.frame}` : ""}`;
      return h("li", {}, h("span", {}, where), h("span", { class: "note" }, `${Math.round(place.likeness * 100)}% alike`),
        h("button", { type: "button", class: "button", "aria-label": `Paint it in ${where} too`, onclick: () => add(place) }, "Paint it"));
    }));
    place();
  };
  const place = () => {
    for (const ring of rings.children) {
      const { x, y } = /** @type {any} */ (ring).place;
      const [left, top] = view.toStage([x, y]);
      /** @type {HTMLElement} */ (ring).style.transform = `translate(${left}px, ${top}px)`;
    }
  };
  store.on(["work", "frame"], clear);
  store.on(["version", "selected"], show);
  editor.onview.push(place);
  show();
  return box;
}

/**
 * Places of one region of one picture, together.
 *
 * @param {(any & {region?: number})[]} places the likest first
 */
function regions(places) {
  /** @type {Map<string, any>} */
  const found = new Map();
  places.forEach((place, index) => {
    const key = `${place.item} ${place.frame} ${place.region ?? -1 - index}`;
    const region = found.get(key) ?? { ...place, places: [] };
    region.places.push([place.x, place.y]);
    found.set(key, region);
  });
  return [...found.values()];
}

/**
 * @param {import("./editor.js").Editor} editor
 * @param {{item: number, frame: number}} place
 * @param {import("./state.js").Stroke[]} points
 */
async function addElsewhere(editor, place, points) {
  try {
    const work = await editor.load(place.item);
    const before = work.doc.now.strokes;
    const strokes = { ...before, [place.frame]: [...(before[place.frame] ?? []), ...points] };
    work.doc.commit({ strokes }, "place that looks alike");
    editor.sync.kick();
    say(`Painted in ${work.detail.name} too.`);
  } catch (error) {
    editor.tell(error);
  }
}
