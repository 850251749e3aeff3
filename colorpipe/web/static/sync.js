/**
 * Brings what was done to the server and its picture back: one call at a time, always with the newest strokes and
 * settings. An answer for a picture or frame that is no longer open is dropped.
 */

import { address, Refused, Unreachable } from "./api.js";
import { warn } from "./messages.js";

/** @typedef {import("./editor.js").Work} Work */

const BUSY_AFTER = 250;
const WAIT_FOR_SAVE = 1000;
const FINE_AFTER = 1200;

export class Sync {
  /** @param {import("./editor.js").Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.running = false;
    this.again = false;
    this.grey = false;
    this.abort = new AbortController();
    /** @type {(() => void)[]} */
    this.waiting = [];
    /** @type {(() => void)[]} */
    this.idling = [];
    this.timer = 0;
    this.resting = 0;
  }

  /**
   * Something is new: a stroke, a setting, or with `grey` another picture or frame.
   *
   * @param {{grey?: boolean}} [what]
   */
  kick({ grey = false } = {}) {
    this.again = true;
    this.grey ||= grey;
    this.editor.store.set({ settled: false });
    if (!this.running) this.#run();
  }

  /** The answer that is under way is no longer wanted. */
  stop() {
    this.abort.abort();
    this.abort = new AbortController();
  }

  /** Resolves once the server has everything. */
  flush() {
    if (!this.running && !this.#unsent) return Promise.resolve();
    return new Promise((/** @type {(value: void) => void} */ done) => {
      this.waiting.push(done);
      this.kick();
    });
  }

  /** Resolves when nothing of the picture is awaited: all else comes after what was painted. */
  idle() {
    return this.running ? new Promise((/** @type {(value: void) => void} */ go) => { this.idling.push(go); }) : Promise.resolve();
  }

  get #unsent() {
    return [...this.editor.works.values()].some((work) => work.sent !== work.doc.now);
  }

  async #run() {
    this.running = true;
    clearTimeout(this.resting);
    const { store } = this.editor;
    const busy = setTimeout(() => store.set({ busy: true }), BUSY_AFTER);
    while (this.again) {
      this.again = false;
      try {
        await this.#once();
      } catch (error) {
        // Once the connection is back, the page kicks again; nothing is lost meanwhile.
        if (!(error instanceof Unreachable)) this.editor.tell(error);
      }
    }
    clearTimeout(busy);
    this.running = false;
    store.set({ busy: false, settled: !this.#unsent });
    this.rest();
    for (const go of this.idling.splice(0)) go();
    if (!this.#unsent) for (const done of this.waiting.splice(0)) done();
  }

  async #once() {
    const { editor } = this;
    for (const work of editor.works.values()) await this.#send(work);
    const work = editor.work;
    if (!work) return;
    const frame = editor.store.get("frame");
    const stale = () => editor.work !== work || editor.store.get("frame") !== frame || editor.store.get("preview");
    const signal = this.abort.signal;
    const side = editor.store.get("album").limits.page;
    if (this.grey) {
      this.grey = false;
      const { bitmap } = await editor.api.picture(this.#address(work, { kind: "grey", frame, side, rev: work.revision }), signal);
      if (stale()) return;
      editor.view.show({ grey: bitmap, result: null });
      editor.store.set({ pictured: editor.store.get("pictured") + 1 });
    }
    if (work.pictured === work.revision) return;
    const { bitmap, revision } = await editor.api.picture(this.#address(work, { kind: "result", frame, side, rev: work.revision }), signal);
    if (stale()) return;
    work.pictured = Math.max(revision, work.revision);
    editor.view.show({ result: bitmap });
    await this.#learn(work);
    editor.store.set({ pictured: editor.store.get("pictured") + 1 });
    editor.settled();
  }

  /** Once nobody paints or zooms: the picture as a saved result has it, with the detail that the zoom asks for. */
  rest() {
    clearTimeout(this.resting);
    if (!this.running) this.resting = window.setTimeout(() => this.#refine(), FINE_AFTER);
  }

  /** The side of the picture that the screen can show. */
  get #side() {
    const { editor } = this;
    const { page, side } = editor.store.get("album").limits;
    const { width, height } = editor.size;
    const shown = Math.max(editor.view.width, editor.view.height) * editor.view.scale * window.devicePixelRatio;
    return shown > page * 1.1 ? Math.min(side[1], Math.max(width, height)) : page;
  }

  async #refine() {
    const { editor } = this;
    const { work } = editor;
    if (!work || this.running || work.pictured !== work.revision || editor.store.get("preview")) return;
    const { grey, result } = editor.view;
    if (!grey || !result) return;
    const [{ revision }, frame] = [work, editor.store.get("frame")];
    const wanted = `${revision} ${frame}`;
    const had = Math.max(grey.width, grey.height);
    const side = Math.max(this.#side, had);
    const larger = side > had && had >= editor.store.get("album").limits.page;
    const finer = editor.strokes.length > 0 && work.refined !== wanted;
    if (!finer && !larger && result.width === grey.width) return;
    const stale = () => this.running || editor.work !== work || work.revision !== revision || editor.store.get("frame") !== frame || editor.store.get("preview");
    const of = (/** @type {string} */ kind) => editor.api.picture(this.#address(work, { kind, frame, side, rev: revision, ...(kind === "result" ? { fine: 1 } : {}) }), this.abort.signal);
    try {
      const better = (await of("result")).bitmap;
      const own = larger ? (await of("grey")).bitmap : grey;
      if (stale()) return;
      work.refined = wanted;
      editor.view.show({ grey: own, result: better });
    } catch (error) {
      if (!(error instanceof Unreachable)) editor.tell(error);
    }
  }

  /** What the weights decide by themselves is known once the network has run. @param {Work} work */
  async #learn(work) {
    const { natural } = work.detail;
    if (work.learnt > 1 || Object.keys(natural ?? {}).length > 0) return;
    work.learnt += 1;
    const { natural: found } = await this.editor.api.get(`/api/items/${work.id}`);
    work.detail = { ...work.detail, natural: found };
  }

  /** @param {Work} work @param {Record<string, any>} query */
  #address(work, query) {
    return address(`/api/items/${work.id}/picture`, query);
  }

  /**
   * What the server does not have yet of a picture.
   *
   * @param {Work} work
   */
  async #send(work) {
    const now = work.doc.now;
    if (now === work.sent) return;
    const before = work.sent;
    try {
      await this.#sendStrokes(work, before.strokes, now.strokes);
      if (now.settings !== before.settings) await this.#sendSettings(work, now);
      work.sent = now;
    } catch (error) {
      if (!(error instanceof Refused) || error.status >= 500 || error.status === 403) throw error;
      if (error.status === 409) this.#later();
      else this.#takeBack(work, now, error);
    }
  }

  /** While a save of the picture runs, the server takes no change: the page keeps it and tries again. */
  #later() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.kick(), WAIT_FOR_SAVE);
  }

  /**
   * @param {Work} work
   * @param {Record<string, readonly any[]>} before
   * @param {Record<string, readonly any[]>} now
   */
  async #sendStrokes(work, before, now) {
    for (const frame of new Set([...Object.keys(before), ...Object.keys(now)])) {
      if (before[frame] === now[frame]) continue;
      const strokes = now[frame] ?? [];
      const answer = await this.editor.api.send("PUT", `/api/items/${work.id}/strokes`, { frame: Number(frame), strokes });
      this.#took(work, answer);
      work.sent = { ...work.sent, strokes: { ...work.sent.strokes, [frame]: strokes } };
    }
  }

  /**
   * @param {Work} work
   * @param {import("./state.js").Snapshot} now
   */
  async #sendSettings(work, now) {
    const { preprocessors: _, ...settings } = now.settings;
    const answer = await this.editor.api.send("PUT", `/api/items/${work.id}/settings`, settings);
    this.#took(work, answer);
    work.detail = { ...work.detail, natural: answer.natural };
    work.learnt = 0;
    work.sent = { ...work.sent, settings: now.settings };
  }

  /**
   * @param {Work} work
   * @param {{revision: number, state: string, painted?: number}} answer
   */
  #took(work, { revision, state, painted }) {
    work.revision = revision;
    this.editor.patchItem(work.id, { revision, state, ...(painted === undefined ? {} : { painted }) });
  }

  /**
   * The server refused a value: the page shows again what the server has.
   *
   * @param {Work} work
   * @param {import("./state.js").Snapshot} refused
   * @param {Refused} error
   */
  #takeBack(work, refused, error) {
    warn("error", { text: error.message, hint: error.hint || "It was taken back." });
    if (work.doc.now !== refused) return;
    work.doc.undo();
    work.doc.future = [];
    if (work.doc.now !== work.sent) this.again = true;
    this.editor.store.set({ version: this.editor.store.get("version") + 1, selected: -1 });
  }
}
