/** The list of strokes: what each says, one click to select it, one to delete it. */

import { cssOf } from "./colour.js";
import { byId, h, icon, roving } from "./dom.js";

/** @param {import("./editor.js").Editor} editor */
export function strokeList(editor) {
  const { store } = editor;
  const place = byId("strokes");
  const list = h("ol", { class: "strokes-list", "aria-label": "Strokes, the last lies on top" });
  const hint = h("p", { class: "hint" }, "Nothing is painted yet. A dab of the right colour is enough: it spreads over what belongs together.");
  const marks = h("input", { type: "checkbox", onchange: () => store.set({ marks: marks.checked }) });
  const clear = h("button", { type: "button", class: "link", onclick: () => { store.set({ selected: -1 }); editor.setStrokes([], "delete all strokes"); } }, "Delete all");
  const foot = h("div", { class: "strokes-foot" }, h("label", { class: "check" }, marks, "Show marks on the picture"), clear);
  place.replaceChildren(hint, list, foot);
  roving(list, ".pick");

  const show = () => {
    const { strokes } = editor;
    const { selected } = store.values;
    byId("stroke-count").textContent = strokes.length ? String(strokes.length) : "";
    [hint.hidden, list.hidden, clear.hidden] = [strokes.length > 0, strokes.length === 0, strokes.length === 0];
    marks.checked = store.get("marks");
    const focused = [...list.children].findIndex((row) => row.contains(document.activeElement));
    list.replaceChildren(...strokes.map((stroke, index) => {
      const [x, y] = stroke.points[0].map((side) => Math.round(side * 100));
      const title = editor.wordsOfStroke(stroke);
      const form = stroke.points.length > 1 ? "stroke" : "point";
      const dot = h("span", { class: "dot", "data-kind": stroke.kind });
      const ab = editor.abOf(stroke);
      if (ab) dot.style.background = cssOf(60, ab);
      const on = index === selected;
      return h("li", { "data-on": String(on) },
        h("button", {
          type: "button", class: "pick", tabindex: index === Math.max(selected, 0) ? "0" : "-1", "aria-pressed": String(on),
          "aria-label": `${form} ${index + 1}: ${title}, at ${x} and ${y} percent`,
          onclick: () => pick(index),
        }, dot, h("span", {}, `${title[0].toUpperCase()}${title.slice(1)}`), h("span", { class: "note" }, form)),
        h("button", { type: "button", class: "quiet", "aria-label": `Delete ${form} ${index + 1}: ${title}`, title: "Delete", onclick: () => editor.deleteStroke(index) }, icon("trash")));
    }));
    if (focused >= 0) /** @type {HTMLElement | null} */ (list.children[Math.min(focused, strokes.length - 1)]?.querySelector(".pick"))?.focus();
  };

  /** @param {number} index */
  const pick = (index) => {
    const again = index === store.get("selected");
    store.set({ selected: again ? -1 : index });
    if (again) return;
    const stroke = editor.strokes[index];
    const ab = editor.abOf(stroke);
    store.set({ kind: stroke.kind, ...(ab ? { ab, name: stroke.name && !stroke.lab ? stroke.name : "" } : {}) });
    editor.view.reveal(stroke.points[0]);
    editor.look(stroke.points[0]);
  };
  store.on(["work", "version", "frame", "selected", "marks"], () => { show(); editor.view.redraw(); });
  show();
}
