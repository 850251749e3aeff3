/** Saving one or all, the progress of what runs, and stopping it. */

import { hear, say, settle, warn, ask } from "./messages.js";

const POLL_EVERY = 500;

/** Follows the one job that the server runs at a time. */
export class Jobs {
  /** @param {import("./editor.js").Editor} editor */
  constructor(editor) {
    this.editor = editor;
    this.timer = 0;
    this.following = 0;
    editor.store.on(["album"], () => { if (editor.get("job")?.state === "running") this.follow(editor.get("job")); });
  }

  get running() {
    return this.editor.get("job")?.state === "running";
  }

  /**
   * @param {"all" | "changed" | number[]} items
   * @param {boolean} [overwrite] also a result that a person changed
   */
  async save(items, overwrite = false) {
    const { editor } = this;
    if (this.running) {
      say("Something is running already. It can be stopped below.");
      return;
    }
    try {
      await editor.sync.flush();
      const { job } = await editor.api.send("POST", "/api/save", { items, overwrite });
      settle("failed");
      this.follow(job);
    } catch (error) {
      editor.tell(error);
    }
  }

  /** @param {number} id of a film */
  async scan(id) {
    if (this.running) return;
    try {
      this.follow((await this.editor.api.send("POST", `/api/items/${id}/scan`, {})).job);
    } catch (error) {
      this.editor.tell(error);
    }
  }

  async stop() {
    try {
      const { job } = await this.editor.api.send("POST", "/api/job/stop", {});
      this.editor.store.set({ job });
      say("Stopped. What is done stays.");
    } catch (error) {
      this.editor.tell(error);
    }
  }

  /** @param {any} job */
  follow(job) {
    this.editor.store.set({ job });
    this.following = job.id;
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.#poll(), job.state === "running" ? POLL_EVERY / 2 : 0);
  }

  async #poll() {
    const { editor } = this;
    try {
      await editor.learnStates();
    } catch (error) {
      // The connection has its own watch, and the job goes on meanwhile.
      if (editor.api.connected) editor.tell(error);
    }
    const job = editor.get("job");
    if (job?.state === "running") this.timer = window.setTimeout(() => this.#poll(), POLL_EVERY);
    else if (job && job.id === this.following) await this.#ended(job);
  }

  /** @param {any} job */
  async #ended(job) {
    this.following = 0;
    if (job.kind === "scan") await this.#scanned(job);
    if (job.state === "failed" && job.kind !== "save") warn("error", { text: job.error ?? "This did not work" });
    if (job.kind === "save") this.#saved(job);
  }

  /** @param {any} job */
  async #scanned(job) {
    const { editor } = this;
    const work = editor.works.get(job.item ?? job.items[0]);
    if (!work) return;
    const { film } = await editor.api.get(`/api/items/${work.id}`);
    work.detail = { ...work.detail, film, frames: film.frames };
    editor.store.set({ version: editor.get("version") + 1 });
    hear(`${film.shots.length} shots, ${film.frames} frames.`);
  }

  /** @param {any} job */
  #saved(job) {
    const { editor } = this;
    const items = editor.get("items").filter((/** @type {any} */ item) => job.items.includes(item.id));
    const failed = items.filter((/** @type {any} */ item) => item.state === "failed");
    const done = items.filter((/** @type {any} */ item) => item.state === "saved");
    const { output } = editor.get("album");
    if (job.state === "stopped") return;
    if (done.length) {
      say(done.length === 1 ? `Saved: ${output}/${done[0].result}` : `Saved ${done.length} in ${output}`);
      const notes = done.flatMap((/** @type {any} */ item) => item.notes ?? []);
      if (notes.length && !failed.length) warn("failed", { text: notes[0], hint: notes.slice(1).join(" "), tone: "warn" });
    }
    if (failed.length) this.#tellFailed(failed);
    else if (job.error) warn("failed", { text: job.error });
  }

  /** @param {import("./editor.js").Item[]} failed */
  #tellFailed(failed) {
    const [first] = failed;
    const more = failed.length > 1 ? ` And ${failed.length - 1} more: each is marked in the strip.` : "";
    const replaceable = failed.filter((item) => /overwrite/i.test(`${item.error} ${item.hint}`));
    warn("failed", {
      text: `${first.name}: ${first.error}`, hint: `${first.hint ?? ""}${more}`,
      action: replaceable.length ? { label: "Replace it", run: () => this.#replace(replaceable) } : { label: "Try again", run: () => this.save(failed.map((item) => item.id)) },
    });
  }

  /** @param {import("./editor.js").Item[]} items */
  async #replace(items) {
    const yes = await ask({
      title: items.length > 1 ? `Replace ${items.length} results?` : `Replace ${items[0].result}?`,
      text: ["Someone has changed this result, or another program made it. It is lost when it is replaced; the original is never touched."],
      yes: "Replace",
    });
    if (yes) await this.save(items.map((item) => item.id), true);
  }
}
