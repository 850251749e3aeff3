/** Six ways to begin, each shown on the picture itself; a click takes its settings. */

import { address } from "./api.js";
import { byId, debounced, h, roving } from "./dom.js";
import { say } from "./messages.js";

const AGAIN_AFTER = 4000;

/** @param {import("./editor.js").Editor} editor */
export function proposals(editor) {
  const { store } = editor;
  const place = byId("proposals");
  let asked = 0;
  let drawn = "";
  let key = "";
  roving(place, ".proposal");

  /** The settings that the pictures were made from. @type {any} */
  let base = null;

  /** @param {any} part @param {any} now @returns {any} */
  const merged = (part, now) => (part !== null && typeof part === "object" && !Array.isArray(part)
    ? Object.fromEntries([...new Set([...Object.keys(now ?? {}), ...Object.keys(part)])].map((name) => [name, name in part ? merged(part[name], now?.[name]) : now[name]]))
    : part);

  /** All settings of a proposal: another method begins with its own weights, decoder and defaults. @param {any} part */
  const whole = (part) => {
    const { methods, decoders } = store.get("methods");
    const name = part.colorizer ?? base.colorizer;
    const method = methods.find((/** @type {any} */ one) => one.name === name);
    const decoder = part.decoder ?? method.decoder ?? null;
    const fresh = (/** @type {any[]} */ options) => Object.fromEntries((options ?? []).map((option) => [option.name, option.default]));
    const from = name === base.colorizer ? base : {
      ...base, colorizer: name, weights: null, decoder, options: { ...base.options, colorizer: fresh(method.options), decoder: fresh(decoders[decoder]) },
    };
    return merged(part, from);
  };

  /** @param {any} proposal */
  const take = (proposal) => {
    if (!editor.work) return;
    editor.setSettings(whole(proposal.settings), `proposal ${proposal.label}`);
    say(`From ${proposal.label}`);
  };

  const mark = () => {
    const now = JSON.stringify(editor.work?.doc.now.settings);
    for (const button of place.children) button.setAttribute("aria-pressed", String(JSON.stringify(whole(/** @type {any} */ (button).proposal.settings)) === now));
  };

  const load = async () => {
    const work = editor.work;
    const frame = store.get("frame");
    const wanted = `${work?.id} ${frame}`;
    if (!work || wanted === key) return;
    key = wanted;
    const number = (asked += 1);
    const current = () => number === asked;
    place.replaceChildren();
    base = work.doc.now.settings;
    try {
      const { proposals: list } = await editor.api.get(address(`/api/items/${work.id}/proposals`, { frame }));
      if (!current()) return;
      place.replaceChildren(...list.map((/** @type {any} */ proposal, /** @type {number} */ index) => {
        const canvas = h("canvas", { width: 160, height: 120 });
        const button = h("button", {
          type: "button", class: "proposal", tabindex: index ? "-1" : "0", "aria-pressed": "false", title: proposal.label, onclick: () => take(proposal),
        }, canvas, h("span", {}, proposal.label));
        return Object.assign(button, { proposal });
      }));
      mark();
      await draw(number);
    } catch (error) {
      if (current()) key = "";
      editor.tell(error);
    }
  };
  /** The pictures, one after the other, and only while nothing else is awaited. @param {number} number */
  const draw = async (number) => {
    const work = editor.work;
    if (!work) return;
    drawn = painted();
    for (const button of [...place.children]) {
      await editor.sync.idle();
      if (number !== asked) return;
      const { number: which } = /** @type {any} */ (button).proposal;
      const { bitmap } = await editor.api.picture(address(`/api/items/${work.id}/proposals/${which}`, { frame: store.get("frame"), rev: work.revision }));
      if (number !== asked) return;
      cover(/** @type {HTMLCanvasElement} */ (button.firstChild), bitmap);
    }
  };
  /** What is painted shows in the proposals too, once the brush rests. */
  const again = debounced(() => {
    if (place.childElementCount === 0 || painted() === drawn) return;
    asked += 1;
    draw(asked).catch((error) => editor.tell(error));
  }, AGAIN_AFTER);
  const painted = () => JSON.stringify(editor.strokes);

  store.on(["version"], again);
  store.on(["pictured"], () => { if (editor.view.result) load(); });
  store.on(["work"], () => { asked += 1; key = ""; place.replaceChildren(); });
  store.on(["version", "pictured"], mark);
}

/**
 * Draws a picture so that it fills a canvas, its middle in the middle.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {ImageBitmap} bitmap
 */
export function cover(canvas, bitmap) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const scale = Math.max(canvas.width / bitmap.width, canvas.height / bitmap.height);
  const [width, height] = [canvas.width / scale, canvas.height / scale];
  // A portrait's face is nearer to its top than to its middle.
  const top = (bitmap.height - height) * (bitmap.height > bitmap.width ? 0.3 : 0.5);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (bitmap.width - width) / 2, top, width, height, 0, 0, canvas.width, canvas.height);
}
