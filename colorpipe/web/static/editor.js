/**
 * The middle of the page: which picture is open, what was done to it, and every command that buttons, keys and the
 * pointer have in common. It draws nothing; the parts of the page listen to its store.
 */

import { address, Refused } from "./api.js";
import { fit, labOf, wordsOf } from "./colour.js";
import { hear, say, settle, warn } from "./messages.js";
import { Document, Store } from "./state.js";
import { Sync } from "./sync.js";

/** @typedef {import("./colour.js").AB} AB */
/** @typedef {import("./state.js").Stroke} Stroke */
/** @typedef {import("./strokes.js").Place} Place */
/** @typedef {"brush" | "point" | "eraser" | "dropper" | "hand"} Tool */
/** @typedef {{number: number, first: number, last: number, start: number, end: number}} Shot */
/** @typedef {{scanned: boolean, frames: number, rate: number, shots: Shot[], keys: number[], painted: number[]}} Film */
/**
 * @typedef {object} Item as the album lists it
 * @property {number} id
 * @property {string} name
 * @property {string} folder
 * @property {"photo" | "film"} kind
 * @property {string} state
 * @property {string | null} error
 * @property {string | null} hint
 * @property {number} painted
 * @property {number} revision
 * @property {string} result
 * @property {string[]} notes
 */
/**
 * @typedef {object} Work what the page holds of a picture that was opened
 * @property {number} id
 * @property {any} detail the server's description
 * @property {Document} doc
 * @property {import("./state.js").Snapshot} sent what the server has
 * @property {number} revision
 * @property {number} frame
 * @property {number} learnt how often `detail.natural` was asked for since the settings changed
 * @property {string} refined revision and frame whose picture is no draft
 * @property {number} pictured the revision that `result` shows, -1 for none
 */

const FIRST_COLOUR = /** @type {AB} */ ([38, 26]);

export class Editor {
  /**
   * @param {import("./api.js").Api} api
   * @param {import("./view.js").View} view
   */
  constructor(api, view) {
    this.api = api;
    this.view = view;
    /** @type {Map<number, Work>} */
    this.works = new Map();
    /** @type {Map<number, Promise<Work>>} */
    this.loading = new Map();
    this.store = new Store({
      album: /** @type {any} */ (null), methods: /** @type {any} */ (null), items: /** @type {Item[]} */ ([]),
      job: /** @type {any} */ (null), work: /** @type {Work | null} */ (null), version: 0, frame: 0,
      tool: /** @type {Tool} */ ("brush"), kind: /** @type {import("./state.js").Kind} */ ("paint"),
      ab: FIRST_COLOUR, name: "", L: 55, place: /** @type {any} */ (null), looked: /** @type {Place | null} */ (null),
      radius: 0.016, strength: 1, selected: -1, marks: true, busy: false, settled: false, pictured: 0, preview: false,
    });
    this.sync = new Sync(this);
    this.lookings = 0;
    this.openings = 0;
    /** Called when the view was drawn anew. @type {(() => void)[]} */
    this.onview = [];
    view.onchange = () => this.onview.forEach((call) => call());
  }

  /** @param {string} name @returns {any} */
  get(name) {
    return this.store.get(/** @type {any} */ (name));
  }

  /** @returns {Work | null} */
  get work() {
    return this.store.get("work");
  }

  /** @returns {Item | undefined} */
  get item() {
    const work = this.work;
    return work ? this.store.get("items").find((item) => item.id === work.id) : undefined;
  }

  /** Strokes on the frame that is shown. @returns {readonly Stroke[]} */
  get strokes() {
    return this.work?.doc.now.strokes[this.store.get("frame")] ?? [];
  }

  /** Size of the upright picture, pixels. */
  get size() {
    const { width, height } = this.work?.detail ?? { width: 1, height: 1 };
    return { width, height };
  }

  /** Opens the album, and its first picture that can be read. */
  async start() {
    const [album, methods] = await Promise.all([this.api.get("/api/album"), this.api.get("/api/methods")]);
    this.store.set({ album, methods, items: album.items, job: album.job });
    for (const item of album.items) {
      if (item.state === "refused") continue;
      try {
        await this.open(item.id);
        return;
      } catch (error) {
        // The next one may be readable; this one is marked in the strip.
        if (!(error instanceof Refused) || error.status === 403) throw error;
      }
    }
  }

  /**
   * Shows another picture. What was done to it before is still there, with its undo.
   *
   * @param {number} id
   */
  async open(id) {
    const opening = (this.openings += 1);
    this.sync.stop();
    /** @type {Work} */
    let work;
    try {
      work = await this.load(id);
    } catch (error) {
      if (error instanceof Refused && error.status === 400) this.patchItem(id, { state: "refused", error: error.message, hint: error.hint });
      throw error;
    }
    if (opening !== this.openings) return; // another was chosen meanwhile
    [work.pictured, work.refined] = [-1, ""];
    const side = this.store.get("album").limits.page;
    const scale = Math.min(1, side / Math.max(work.detail.width, work.detail.height));
    this.view.open(Math.max(1, Math.round(work.detail.width * scale)), Math.max(1, Math.round(work.detail.height * scale)));
    this.store.set({ work, frame: work.frame, selected: -1, place: null, looked: null, preview: false, version: this.store.get("version") + 1 });
    hear(`${work.detail.name} is open.`);
    this.sync.kick({ grey: true });
  }

  /**
   * What the page holds of a picture; asked for at the first time.
   *
   * @param {number} id
   * @returns {Promise<Work>}
   */
  async load(id) {
    const known = this.works.get(id);
    if (known) return known;
    // Two who ask at once get one and the same: what is painted on another would never be sent.
    const asked = this.loading.get(id) ?? this.#ask(id);
    this.loading.set(id, asked);
    try {
      return await asked;
    } finally {
      this.loading.delete(id);
    }
  }

  /** @param {number} id @returns {Promise<Work>} */
  async #ask(id) {
    const detail = await this.api.get(`/api/items/${id}`);
    const start = { strokes: detail.strokes, settings: detail.settings };
    const work = { id, detail, doc: new Document(start), sent: start, revision: detail.revision, frame: 0, pictured: -1, refined: "", learnt: 0 };
    this.works.set(id, work);
    return work;
  }

  /** The states of all pictures, as the server has them. */
  async learnStates() {
    const { items, job } = await this.api.get("/api/state");
    for (const item of items) this.patchItem(item.id, item);
    this.store.set({ job });
  }

  /**
   * Settings of a picture were changed by another call.
   *
   * @param {number} id
   */
  async refresh(id) {
    const detail = await this.api.get(`/api/items/${id}`);
    this.patchItem(id, detail);
    const work = this.works.get(id);
    if (!work) return;
    work.doc.commit({ settings: detail.settings }, "settings of another picture");
    [work.detail, work.revision, work.sent] = [detail, detail.revision, work.doc.now];
  }

  /** @param {1 | -1} step */
  async openNext(step) {
    const ready = this.store.get("items").filter((item) => item.state !== "refused");
    const at = ready.findIndex((item) => item.id === this.work?.id) + step;
    if (at >= 0 && at < ready.length) await this.open(ready[at].id);
    else say(step > 0 ? "This is the last one." : "This is the first one.");
  }

  /**
   * One step of work, which can be undone.
   *
   * @param {Partial<import("./state.js").Snapshot>} change
   * @param {string} label
   * @param {string} [key] steps with one key are undone together
   */
  commit(change, label, key) {
    const work = this.work;
    if (!work) return;
    work.doc.commit(change, label, key);
    this.changed();
  }

  /** Something of the document is another now. */
  changed() {
    this.store.set({ version: this.store.get("version") + 1, preview: false });
    this.sync.kick();
  }

  undo() {
    this.#step(this.work?.doc.undo(), "Undone", "There is nothing to undo.");
  }

  redo() {
    this.#step(this.work?.doc.redo(), "Done again", "There is nothing to do again.");
  }

  /** @param {string | null | undefined} label @param {string} done @param {string} nothing */
  #step(label, done, nothing) {
    if (!label) return say(nothing);
    this.store.set({ selected: -1 });
    this.changed();
    return say(`${done}: ${label}`);
  }

  /**
   * @param {readonly Stroke[]} strokes of the frame that is shown
   * @param {string} label
   * @param {string} [key]
   */
  setStrokes(strokes, label, key) {
    const work = this.work;
    if (!work) return;
    const all = { ...work.doc.now.strokes, [this.store.get("frame")]: strokes };
    this.commit({ strokes: all }, label, key);
  }

  /**
   * A stroke as the brush is set now.
   *
   * @param {Place[]} points
   * @returns {Stroke}
   */
  newStroke(points) {
    const { kind, ab, name, radius, strength } = this.store.values;
    if (kind !== "paint") return { kind, points, radius, strength };
    // A colour of the album is named alone: the stroke follows when it is changed.
    if (name && this.named[name]) return { kind, points, radius, strength, lab: null, name };
    return { kind, points, radius, strength, lab: [null, ...ab.map((value) => Math.round(value * 10) / 10)] };
  }

  /**
   * @param {Stroke} stroke
   * @param {boolean} [select] its colour can be changed at once
   */
  addStroke(stroke, select = false) {
    const strokes = [...this.strokes, stroke];
    this.setStrokes(strokes, `${this.wordsOfStroke(stroke)}, ${stroke.points.length > 1 ? "stroke" : "point"}`);
    this.store.set({ selected: select ? strokes.length - 1 : -1 });
    hear(`Painted ${this.wordsOfStroke(stroke)}.`);
  }

  /**
   * Several at once, as one step.
   *
   * @param {Stroke[]} added
   */
  addStrokes(added) {
    if (!added.length) return;
    this.setStrokes([...this.strokes, ...added], `${this.wordsOfStroke(added[0])}, ${added.length} places`);
    this.store.set({ selected: -1 });
    hear(`Painted ${added.length} places.`);
  }

  /** @param {number} index */
  deleteStroke(index) {
    const stroke = this.strokes[index];
    if (!stroke) return;
    this.setStrokes(this.strokes.filter((_, at) => at !== index), `delete ${this.wordsOfStroke(stroke)}`);
    this.store.set({ selected: -1 });
    say("Deleted. Undo brings it back.");
  }

  /** Named colours of the picture's album. @returns {Record<string, AB>} */
  get named() {
    return this.work?.detail.colours ?? {};
  }

  /** @param {Stroke} stroke @returns {AB | null} */
  abOf(stroke) {
    if (stroke.kind !== "paint") return null;
    return stroke.lab ? [Number(stroke.lab[1]), Number(stroke.lab[2])] : (stroke.name && this.named[stroke.name]) || [0, 0];
  }

  /** @param {Stroke} stroke */
  wordsOfStroke(stroke) {
    if (stroke.kind !== "paint") return stroke.kind === "keep" ? "keep" : "neutral";
    return stroke.name || wordsOf(/** @type {AB} */ (this.abOf(stroke)));
  }

  /**
   * The colour of the brush, and of the selected stroke.
   *
   * @param {AB} ab
   * @param {{name?: string, key?: string}} [more] name in the album; key of a drag
   */
  choose(ab, { name = "", key = "" } = {}) {
    this.store.set({ ab, name, kind: "paint" });
    const { selected } = this.store.values;
    const stroke = this.strokes[selected];
    if (!stroke) return;
    const next = { ...this.newStroke(stroke.points), radius: stroke.radius, strength: stroke.strength };
    this.setStrokes(this.strokes.map((one, index) => (index === selected ? next : one)), `colour: ${name || wordsOf(ab)}`, key && `${key}-${selected}`);
  }

  /**
   * The selected stroke, if there is one, has another size or strength.
   *
   * @param {{radius?: number, strength?: number}} change
   * @param {string} label
   */
  reshape(change, label) {
    const { selected } = this.store.values;
    if (!this.strokes[selected]) return;
    this.setStrokes(this.strokes.map((one, index) => (index === selected ? { ...one, ...change } : one)), label, `${label}-${selected}`);
  }

  /**
   * Asks what the network thinks likely at a place, and which colours exist there.
   *
   * @param {Place} place
   */
  async look(place) {
    const work = this.work;
    if (!work) return;
    const grey = this.view.pixel("grey", place);
    this.store.set({ looked: place, ...(grey ? { L: labOf(grey)[0] } : {}) });
    const number = (this.lookings += 1);
    await this.sync.idle();
    if (number !== this.lookings || work !== this.work) return;
    try {
      const found = await this.api.get(address(`/api/items/${work.id}/place`, { x: place[0].toFixed(5), y: place[1].toFixed(5), frame: this.store.get("frame") }));
      if (number === this.lookings && work === this.work) this.store.set({ place: found, L: found.L });
    } catch (error) {
      this.tell(error);
    }
  }

  /**
   * The colour that the result has at a place becomes the brush's.
   *
   * @param {Place} place
   */
  take(place) {
    const pixel = this.view.pixel("result", place) ?? this.view.pixel("grey", place);
    if (!pixel) return;
    const [L, a, b] = labOf(pixel);
    this.store.set({ selected: -1 });
    this.choose(fit(L, [a, b]));
    say(`Taken: ${wordsOf([a, b])}`);
    this.look(place);
  }

  /**
   * @param {number} frame of a film
   */
  goTo(frame) {
    const work = this.work;
    if (!work) return;
    const last = (work.detail.film?.frames ?? 1) - 1;
    const next = Math.min(Math.max(Math.round(frame), 0), last);
    if (next === this.store.get("frame") && !this.store.get("preview")) {
      this.sync.kick();
      return;
    }
    work.frame = next;
    [work.pictured, work.refined] = [-1, ""];
    this.store.set({ frame: next, selected: -1, place: null, looked: null, preview: false });
    this.sync.kick({ grey: true });
  }

  /**
   * @param {import("./state.js").Settings} settings the whole of them
   * @param {string} label
   * @param {string} [key]
   */
  setSettings(settings, label, key) {
    this.commit({ settings }, label, key);
  }

  /**
   * Changes an item of the list as a call has answered.
   *
   * @param {number} id
   * @param {Partial<Item>} change
   */
  patchItem(id, change) {
    const known = this.store.get("items").find((item) => item.id === id);
    if (!known) return;
    const given = Object.entries(change).filter(([name, value]) => name in known && JSON.stringify(value) !== JSON.stringify(known[/** @type {keyof Item} */ (name)]));
    if (given.length === 0) return;
    this.store.set({ items: this.store.get("items").map((item) => (item === known ? { ...item, ...Object.fromEntries(given) } : item)) });
  }

  /**
   * An error in plain words. A lost connection has its own banner.
   *
   * @param {unknown} error
   */
  tell(error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    const { name, message, hint = "", status } = /** @type {any} */ (error);
    if (status === undefined && name === "Error" && !this.api.connected) return;
    if (status === 403) {
      warn("foreign", { text: "This page belongs to a colorpipe that has ended", hint: "Open the address that the command in the terminal printed.", fixed: true });
      return;
    }
    warn("error", { text: message, hint });
    if (status === undefined) throw error;
  }

  /** A call that may fail has worked. */
  settled() {
    settle("error");
  }

  /** Whether something would be lost if the page and the command ended now. */
  get unsaved() {
    const unsent = [...this.works.values()].some((work) => work.doc.now !== work.sent);
    return unsent || this.store.get("items").some((item) => item.state === "changed");
  }
}
