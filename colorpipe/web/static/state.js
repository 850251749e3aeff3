/** What a person has made of each picture, with undo and redo; and a small store that parts of the page listen to. */

/** @typedef {"paint" | "neutral" | "keep"} Kind */
/**
 * A line or a point, as in NAME.hints.json: places are shares of the picture's sides, the radius one of its longer side.
 *
 * @typedef {object} Stroke
 * @property {Kind} kind
 * @property {[number, number][]} points
 * @property {number} radius
 * @property {(number | null)[] | null} [lab] of `paint`: null, a, b; null where the album's colour of that name is meant
 * @property {string} [name] the colour's name in the album
 * @property {number} strength above 0, at most 1
 */
/** @typedef {Record<string, any>} Settings values of the controls that the server declares, by name */
/**
 * Strokes are listed by frame; a photo has frame 0 alone. It is never changed in place.
 *
 * @typedef {{readonly strokes: Readonly<Record<string, readonly Stroke[]>>, readonly settings: Settings}} Snapshot
 */

const MERGE_WITHIN = 1000;
const MOST_STEPS = 500;

/** One picture or film: its strokes and settings now, and the way there. */
export class Document {
  /** @param {Snapshot} start what is on disk, or the defaults */
  constructor(start) {
    this.now = start;
    /** @type {{snapshot: Snapshot, label: string}[]} */
    this.past = [];
    /** @type {{snapshot: Snapshot, label: string}[]} */
    this.future = [];
    this.key = "";
    this.at = 0;
  }

  /**
   * One step that can be undone. Steps with the same key that follow at once, such as those of one drag of a slider,
   * are one.
   *
   * @param {Partial<Snapshot>} change
   * @param {string} label what undo calls it
   * @param {string} [key]
   */
  commit(change, label, key = "") {
    const next = { ...this.now, ...change };
    const merged = key !== "" && key === this.key && Date.now() - this.at < MERGE_WITHIN && this.past.length > 0;
    if (!merged) this.past.push({ snapshot: this.now, label });
    if (this.past.length > MOST_STEPS) this.past.shift();
    this.future = [];
    this.now = next;
    [this.key, this.at] = [key, Date.now()];
  }

  /** @returns {string | null} what was undone */
  undo() {
    return this.#step(this.past, this.future);
  }

  /** @returns {string | null} what was done again */
  redo() {
    return this.#step(this.future, this.past);
  }

  /**
   * @param {{snapshot: Snapshot, label: string}[]} from
   * @param {{snapshot: Snapshot, label: string}[]} to
   */
  #step(from, to) {
    const step = from.pop();
    if (!step) return null;
    to.push({ snapshot: this.now, label: step.label });
    this.now = step.snapshot;
    this.key = "";
    return step.label;
  }
}

/**
 * Values by name; who listens to a name is called when it changes.
 *
 * @template {Record<string, any>} V
 */
export class Store {
  /** @param {V} values */
  constructor(values) {
    this.values = values;
    /** @type {Map<keyof V, Set<() => void>>} */
    this.listeners = new Map();
  }

  /**
   * @template {keyof V} K
   * @param {K} name
   * @returns {V[K]}
   */
  get(name) {
    return this.values[name];
  }

  /** @param {Partial<V>} change */
  set(change) {
    /** @type {Set<() => void>} */
    const calls = new Set();
    for (const [name, value] of Object.entries(change)) {
      if (Object.is(this.values[name], value)) continue;
      /** @type {any} */ (this.values)[name] = value;
      for (const call of this.listeners.get(name) ?? []) calls.add(call);
    }
    for (const call of calls) call();
  }

  /**
   * @param {(keyof V)[]} names
   * @param {() => void} call
   */
  on(names, call) {
    for (const name of names) {
      if (!this.listeners.has(name)) this.listeners.set(name, new Set());
      /** @type {Set<() => void>} */ (this.listeners.get(name)).add(call);
    }
  }
}
