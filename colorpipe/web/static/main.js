/** Puts the parts of the page together and gives every command its buttons and keys. */

import { Api } from "./api.js";
import { controls } from "./controls.js";
import { byId, h, roving } from "./dom.js";
import { Editor } from "./editor.js";
import { keyboard } from "./keys.js";
import { strokeList } from "./list.js";
import { say, settle, warn } from "./messages.js";
import { paintOver } from "./overlay.js";
import { palette } from "./palette.js";
import { proposals } from "./proposals.js";
import { Jobs } from "./saving.js";
import { strip } from "./strip.js";
import { timeline } from "./timeline.js";
import { Tools } from "./tools.js";
import { View } from "./view.js";

const api = new Api();
const view = new View(byId("stage"), byId("picture"), byId("overlay"), byId("divider"));
const editor = new Editor(api, view);
const { store } = editor;
const tools = new Tools(editor, view);
const jobs = new Jobs(editor);
view.paintOver = paintOver(editor, view, tools);
palette(editor);
controls(editor);
proposals(editor);
strokeList(editor);
strip(editor, jobs);
const film = timeline(editor, jobs);

const SMALLEST = 0.002;
const LARGEST = 0.15;

/** @param {number} at place of the slider, 0..100 @returns {number} radius, share of the longer side */
const radiusOf = (at) => SMALLEST * (LARGEST / SMALLEST) ** (at / 100);
/** @param {number} radius */
const placeOf = (radius) => Math.round((100 * Math.log(radius / SMALLEST)) / Math.log(LARGEST / SMALLEST));

/** A group of buttons of which one is chosen. @param {string} id @param {string} data @param {(value: any) => void} choose */
function choice(id, data, choose) {
  const group = byId(id);
  const radio = group.getAttribute("role") === "radiogroup";
  const buttons = /** @type {HTMLButtonElement[]} */ ([...group.querySelectorAll(`[data-${data}]`)]);
  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset[data]));
  roving(group, `[data-${data}]`);
  // The choice of a group of radio buttons follows its focus, as screen readers expect it.
  if (radio) group.addEventListener("keydown", (event) => { if (/^(Arrow|Home|End)/.test(event.key)) /** @type {HTMLElement} */ (document.activeElement).click(); });
  return (/** @type {string} */ value) => {
    for (const button of buttons) {
      const on = button.dataset[data] === value;
      button.setAttribute(radio ? "aria-checked" : id === "tabs" ? "aria-selected" : "aria-pressed", String(on));
      button.tabIndex = on ? 0 : -1;
    }
  };
}

const showTool = choice("tools", "tool", (tool) => store.set({ tool }));
const showKind = choice("kinds", "kind", (kind) => setKind(kind));
const showMode = choice("modes", "mode", (mode) => setMode(mode));
const showTab = choice("tabs", "tab", (tab) => setTab(tab));

/** @param {"paint" | "neutral" | "keep"} kind */
function setKind(kind) {
  store.set({ kind });
  const { selected } = store.values;
  const stroke = editor.strokes[selected];
  if (stroke && stroke.kind !== kind) {
    const next = { ...editor.newStroke(stroke.points), radius: stroke.radius, strength: stroke.strength };
    editor.setStrokes(editor.strokes.map((one, index) => (index === selected ? next : one)), kind);
  }
}

/** @param {import("./view.js").Mode} mode */
function setMode(mode) {
  view.mode = mode;
  showMode(mode);
  view.redraw();
}

/** @param {string} tab */
function setTab(tab) {
  document.body.dataset.tab = tab;
  showTab(tab);
}

/** @param {number} split 0..1 */
function setSplit(split) {
  view.split = Math.min(Math.max(split, 0), 1);
  const divider = byId("divider");
  const percent = Math.round(view.split * 100);
  divider.setAttribute("aria-valuenow", String(percent));
  divider.setAttribute("aria-valuetext", `${percent}% grey, ${100 - percent}% colour`);
  view.redraw();
}

/** @param {number} at place of the slider */
function setSize(at) {
  const place = Math.min(Math.max(at, 0), 100);
  const radius = Math.round(radiusOf(place) * 1e5) / 1e5;
  store.set({ radius });
  const slider = /** @type {HTMLInputElement} */ (byId("size"));
  slider.value = String(place);
  slider.setAttribute("aria-valuetext", `${(radius * 200).toFixed(1)} percent of the picture across`);
  byId("size-out").textContent = `${(radius * 200).toFixed(1)}%`;
  view.redraw();
}

/** @param {number} value */
function setStrength(value) {
  const strength = Math.round(value * 100) / 100;
  store.set({ strength });
  const slider = /** @type {HTMLInputElement} */ (byId("strength"));
  slider.value = String(strength);
  slider.setAttribute("aria-valuetext", `${Math.round(strength * 100)} percent`);
  byId("strength-out").textContent = `${Math.round(strength * 100)}%`;
}

const zoomBy = (/** @type {number} */ factor) => view.zoomTo(view.scale * factor);
/** The brush, and the selected stroke, have another size. @param {number} at place of the slider */
const resize = (at) => {
  setSize(at);
  editor.reshape({ radius: store.get("radius") }, "size");
};
/** @param {number} value */
const weigh = (value) => {
  setStrength(Math.min(1, Math.max(0.05, value)));
  editor.reshape({ strength: store.get("strength") }, "strength");
};
const sizeBy = (/** @type {number} */ step) => resize(placeOf(store.get("radius")) + 4 * step);
const save = () => { if (editor.work) jobs.save([editor.work.id]); };
const step = (/** @type {1 | -1} */ by) => editor.openNext(by).catch((error) => editor.tell(error));
const deleteSelected = () => {
  if (store.get("selected") >= 0) editor.deleteStroke(store.get("selected"));
  else say("Select a stroke first, in the list or with the point tool.");
};
const nextMode = () => setMode(/** @type {any} */ ({ split: "colour", colour: "grey", grey: "split" })[view.mode]);
const tool = (/** @type {import("./editor.js").Tool} */ name) => () => { store.set({ tool: name }); say(byId("tools").querySelector(`[data-tool="${name}"]`)?.getAttribute("aria-label") ?? name); };

/** Jumps from one region to the next. @param {number} by */
function region(by) {
  const stops = ["undo", "tools", "kinds", "picture", "tabs", "plane", "control-1", "playhead", "strip"].map((id) => document.getElementById(id))
    .map((element) => element?.matches("button, canvas, select, input, [tabindex]") ? element : element?.querySelector('[tabindex="0"], [aria-current="true"]'))
    .filter((element) => element instanceof HTMLElement && element.offsetParent !== null);
  const focus = document.activeElement;
  const at = stops.findIndex((stop) => stop === focus || stop?.parentElement === focus?.parentElement);
  const before = at < 0 && by < 0 ? 0 : at;
  /** @type {HTMLElement} */ (stops[(before + by + stops.length) % stops.length]).focus();
}

keyboard(editor, [
  { title: "Tools", rows: [
    { keys: ["B"], label: "Brush", does: { b: tool("brush") } }, { keys: ["P"], label: "Point: set, select, move", does: { p: tool("point") } },
    { keys: ["E"], label: "Eraser", does: { e: tool("eraser") } }, { keys: ["I"], label: "Eyedropper: take a colour", does: { i: tool("dropper") } },
    { keys: ["H"], label: "Hand: move the picture", does: { h: tool("hand") } }, { keys: ["Space"], label: "Hand while held" },
    { keys: ["C"], label: "Paint: this colour is here", does: { c: () => setKind("paint") } }, { keys: ["N"], label: "Neutral: no colour here", does: { n: () => setKind("neutral") } },
    { keys: ["K"], label: "Keep the method's colour", does: { k: () => setKind("keep") } },
    { keys: ["[", "]"], label: "Brush smaller, larger", does: { "[": () => sizeBy(-1), "]": () => sizeBy(1) } },
    { keys: ["{", "}"], label: "Weaker, stronger", does: { "{": () => weigh(store.get("strength") - 0.05), "}": () => weigh(store.get("strength") + 0.05) } },
  ] },
  { title: "On the picture, by keys alone", rows: [
    { keys: ["←", "↑", "→", "↓"], label: "Move the brush (with Alt: finely)" }, { keys: ["Enter"], label: "Paint, set or take at the brush" },
    { keys: ["Shift", "arrows"], label: "Draw a line; it ends with Shift" }, { keys: ["Delete"], label: "Delete the selected stroke", does: { Delete: deleteSelected, Backspace: deleteSelected } },
    { keys: ["Esc"], label: "Select nothing", does: { Escape: () => store.set({ selected: -1, name: "" }) } },
  ] },
  { title: "View", rows: [
    { keys: ["+", "−"], label: "Zoom in, out (or the wheel)", does: { "+": () => zoomBy(1.25), "=": () => zoomBy(1.25), "-": () => zoomBy(0.8) } },
    { keys: ["0"], label: "Fit", does: { 0: () => view.fit() } }, { keys: ["1"], label: "One pixel to one", does: { 1: () => view.actual() } },
    { keys: ["V"], label: "Split, colour, grey", does: { v: nextMode } }, { keys: ["M"], label: "Marks of strokes on and off", does: { m: () => store.set({ marks: !store.get("marks") }) } },
  ] },
  { title: "Work", rows: [
    { keys: ["Ctrl", "Z"], label: "Undo" }, { keys: ["Ctrl", "Shift", "Z"], label: "Redo" }, { keys: ["Ctrl", "S"], label: "Save" },
    { keys: ["F6"], label: "To the next region of the page" }, { keys: ["Delete"], label: "On a slider: its default" }, { keys: ["?"], label: "This help" },
  ] },
  { title: "Album and film", rows: [
    { keys: ["PgUp", "PgDn"], label: "Previous, next picture", does: { PageUp: () => step(-1), PageDown: () => step(1) } },
    { keys: [",", "."], label: "Previous, next frame", does: { ",": () => film.move(-1), ".": () => film.move(1) } },
    { keys: ["<", ">"], label: "Previous, next shot", does: { "<": () => film.moveShot(-1), ">": () => film.moveShot(1) } },
    { keys: ["J", "L"], label: "Previous, next key frame", does: { j: () => film.moveKey(-1), l: () => film.moveKey(1) } },
    { keys: ["R"], label: "Play the shot, stop", does: { r: () => film.toggle() } },
  ] },
], { undo: () => editor.undo(), redo: () => editor.redo(), save, space: (held) => tools.holdSpace(held), region });

tools.onsplit = setSplit;
tools.onsize = sizeBy;
byId("undo").addEventListener("click", () => editor.undo());
byId("redo").addEventListener("click", () => editor.redo());
byId("save").addEventListener("click", save);
byId("zoom-in").addEventListener("click", () => zoomBy(1.25));
byId("zoom-out").addEventListener("click", () => zoomBy(0.8));
byId("zoom-fit").addEventListener("click", () => view.fit());
byId("zoom-actual").addEventListener("click", () => view.actual());
roving(/** @type {HTMLElement} */ (document.querySelector(".zoom")), "button");
byId("size").addEventListener("input", (event) => resize(Number(/** @type {HTMLInputElement} */ (event.target).value)));
byId("strength").addEventListener("input", (event) => weigh(Number(/** @type {HTMLInputElement} */ (event.target).value)));

const divider = byId("divider");
divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
divider.addEventListener("pointermove", (event) => {
  if (!divider.hasPointerCapture(event.pointerId)) return;
  const { left, right } = view.seen;
  setSplit((event.clientX - view.stage.getBoundingClientRect().left - left) / Math.max(1, right - left));
});
divider.addEventListener("dblclick", () => setSplit(0.5));
divider.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -0.02, ArrowDown: -0.02, ArrowRight: 0.02, ArrowUp: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
  const by = /** @type {Record<string, number>} */ (steps)[event.key];
  if (by === undefined) return;
  setSplit(view.split + by);
  event.preventDefault();
  event.stopPropagation();
});

editor.onview.push(() => {
  const percent = Math.round(view.scale * window.devicePixelRatio * 100);
  const label = byId("zoom-actual");
  if (label.textContent === `${percent}%`) return;
  editor.sync.rest();
  label.textContent = `${percent}%`;
  label.setAttribute("aria-label", `Zoom: ${percent}%, set to 1:1`);
});
store.on(["tool"], () => { showTool(store.get("tool")); view.redraw(); });
store.on(["kind"], () => { showKind(store.get("kind")); view.redraw(); });
store.on(["version", "work"], () => {
  const doc = editor.work?.doc;
  for (const [id, word, steps] of /** @type {[string, string, {label: string}[]][]} */ ([["undo", "Undo", doc?.past ?? []], ["redo", "Redo", doc?.future ?? []]])) {
    const button = /** @type {HTMLButtonElement} */ (byId(id));
    button.disabled = steps.length === 0;
    button.title = `${word}${steps.length ? `: ${steps.at(-1)?.label}` : ""} (Ctrl+${id === "undo" ? "" : "Shift+"}Z)`;
  }
  view.redraw();
});
store.on(["selected"], () => {
  const stroke = editor.strokes[store.get("selected")];
  if (!stroke) return;
  setSize(placeOf(stroke.radius));
  setStrength(stroke.strength);
});
store.on(["busy"], () => {
  byId("busy").hidden = !store.get("busy");
  byId("stage").setAttribute("aria-busy", String(store.get("busy")));
});
store.on(["settled"], () => { byId("stage").dataset.settled = String(store.get("settled")); });
store.on(["work"], () => { byId("empty").hidden = true; });
store.on(["work"], () => byId("picture").setAttribute("aria-label", `Picture ${editor.work?.detail.name ?? ""}`));

api.onconnection = (/** @type {boolean} */ connected) => {
  if (connected) {
    settle("lost");
    say("Connected again.");
    if (store.get("album")) editor.sync.kick({ grey: !view.grey });
    else editor.start().catch((error) => editor.tell(error));
    if (jobs.running) jobs.follow(store.get("job"));
  } else {
    warn("lost", {
      text: "colorpipe does not answer", hint: "Is the command in the terminal still running? What you do here is kept and sent once it is back.",
      tone: "warn", fixed: true, action: { label: "Try now", run: () => api.retry() },
    });
  }
};
window.addEventListener("beforeunload", (event) => { if (editor.unsaved) event.preventDefault(); });

setSize(placeOf(store.get("radius")));
setStrength(1);
setSplit(0.5);
try {
  await editor.start();
  const refused = store.get("items").filter((item) => item.state === "refused");
  if (refused.length === store.get("items").length) {
    empty("There is nothing to paint on", refused[0]?.error ?? "Start the command with photos, folders or films: colorpipe paint FOLDER");
  }
} catch (error) {
  if (!api.token) empty("This address has no key", "Open the address that the command in the terminal printed, with all that follows the #.");
  else editor.tell(error);
}

/** @param {string} title @param {string} text */
function empty(title, text) {
  byId("empty").replaceChildren(h("h2", {}, title), h("p", {}, text));
  byId("empty").hidden = false;
}
