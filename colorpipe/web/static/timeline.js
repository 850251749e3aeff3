/** A film: its shots in proportion, key frames, frames that are painted, and the preview of a shot. */

import { address } from "./api.js";
import { byId, h, icon } from "./dom.js";
import { say } from "./messages.js";

const SCRUB_WAIT = 90;
const MOST_FRAMES = 18;

/** A frame over a part of a canvas, which it fills. @param {HTMLCanvasElement} canvas @param {ImageBitmap} bitmap @param {number} left @param {number} width */
function strip(canvas, bitmap, left, width) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const scale = Math.max(width / bitmap.width, canvas.height / bitmap.height);
  const [wide, tall] = [width / scale, canvas.height / scale];
  context.drawImage(bitmap, (bitmap.width - wide) / 2, (bitmap.height - tall) / 2, wide, tall, left, 0, width, canvas.height);
}

/**
 * @param {import("./editor.js").Editor} editor
 * @param {import("./saving.js").Jobs} jobs
 */
export function timeline(editor, jobs) {
  const { store, view } = editor;
  const place = byId("timeline");
  const shots = h("div", { class: "shots" });
  const ticks = h("div", { class: "ticks", "aria-hidden": "true" });
  const head = h("div", { class: "playhead", role: "slider", tabindex: "0", "aria-label": "Frame", "aria-valuemin": "0", id: "playhead" });
  const track = h("div", { class: "track" }, shots, ticks, head);
  const time = h("p", { class: "timecode" });
  const play = h("button", { type: "button", class: "button", id: "preview", onclick: () => preview.toggle() });
  const scan = h("button", { type: "button", class: "button", onclick: () => { if (editor.work) jobs.scan(editor.work.id); } }, "Find shots");
  const moves = /** @type {[string, string, string, () => void][]} */ ([
    ["left", "Previous frame", ",", () => move(-1)], ["right", "Next frame", ".", () => move(1)],
  ]).map(([name, label, key, run]) => h("button", { type: "button", class: "quiet", "aria-label": label, "aria-keyshortcuts": key, title: `${label} (${key})`, onclick: run }, icon(name)));
  place.replaceChildren(h("div", { class: "transport" }, ...moves, play, scan), track, time);
  let built = "";

  /** @returns {import("./editor.js").Film | null} */
  const film = () => editor.work?.detail.film ?? null;
  /** The frame that the playhead is at, before its picture is there. */
  let at = 0;
  let timer = 0;

  /** @param {number} frame */
  const scrub = (frame) => {
    const of = film();
    if (!of || !of.scanned) return;
    preview.stop();
    at = Math.min(Math.max(Math.round(frame), 0), of.frames - 1);
    showHead();
    store.set({ settled: false });
    clearTimeout(timer);
    timer = window.setTimeout(() => editor.goTo(at), SCRUB_WAIT);
  };
  /** @param {number} by */
  const move = (by) => scrub(at + by);
  /** @param {1 | -1} by */
  const moveShot = (by) => {
    const all = film()?.shots ?? [];
    const now = all.findIndex((shot) => at <= shot.last);
    const next = all[Math.min(Math.max(now + by, 0), all.length - 1)];
    if (next) scrub(by < 0 && at > all[now].first ? all[now].first : next.first);
  };
  /** The next key frame, or frame that is painted. @param {1 | -1} by */
  const moveKey = (by) => {
    const of = film();
    if (!of) return;
    const marks = [...new Set([...of.keys, ...painted()])].sort((one, other) => one - other);
    const next = by > 0 ? marks.find((frame) => frame > at) : marks.findLast((frame) => frame < at);
    if (next !== undefined) scrub(next);
  };

  const painted = () => Object.entries(editor.work?.doc.now.strokes ?? {}).filter(([, strokes]) => strokes.length > 0).map(([frame]) => Number(frame));
  const shotNow = () => film()?.shots.find((shot) => at <= shot.last);

  const pointer = (/** @type {PointerEvent} */ event) => {
    const of = film();
    const box = track.getBoundingClientRect();
    if (of) scrub(((event.clientX - box.left) / box.width) * of.frames - 0.5);
  };
  track.addEventListener("pointerdown", (event) => {
    track.setPointerCapture(event.pointerId);
    pointer(event);
  });
  track.addEventListener("pointermove", (event) => { if (track.hasPointerCapture(event.pointerId)) pointer(event); });
  head.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: -10, PageDown: 10, Home: -1e9, End: 1e9 };
    const step = /** @type {Record<string, number>} */ (steps)[event.key];
    if (step === undefined) return;
    move(event.shiftKey ? step * 10 : step);
    event.preventDefault();
    event.stopPropagation();
  });

  const build = () => {
    const of = film();
    place.hidden = !of;
    document.body.dataset.kind = of ? "film" : "photo";
    byId("tab-dock").textContent = of ? "Film" : "Album";
    if (!of) return;
    [scan.hidden, play.hidden] = [of.scanned, !of.scanned];
    scan.disabled = jobs.running;
    const key = `${editor.work?.id} ${of.frames} ${of.shots.length} ${of.scanned}`;
    if (key !== built) {
      built = key;
      shots.replaceChildren(...of.shots.map((shot) => {
        const part = h("button", { type: "button", class: "shot", tabindex: "-1", title: `Shot ${shot.number + 1}, frames ${shot.first} to ${shot.last}`, "aria-label": `Shot ${shot.number + 1}, frames ${shot.first} to ${shot.last}` },
          h("canvas", { width: 1, height: 1 }));
        part.style.flexGrow = String(shot.last - shot.first + 1);
        return part;
      }));
      if (of.scanned) pictures(of);
    }
    ticks.replaceChildren(
      ...of.keys.map((frame) => tick(frame, of, "")), ...painted().map((frame) => tick(frame, of, "painted")));
    showHead();
  };

  /** @param {number} frame @param {import("./editor.js").Film} of @param {string} kind */
  const tick = (frame, of, kind) => {
    const mark = document.createElement("i");
    if (kind) mark.className = kind;
    mark.style.left = `${(100 * (frame + 0.5)) / of.frames}%`;
    return mark;
  };

  /** Each shot is filled with frames of it, side by side. @param {import("./editor.js").Film} of */
  const pictures = async (of) => {
    const work = editor.work;
    const { width, height } = editor.size;
    const tall = shots.clientHeight;
    const wide = Math.max(24, Math.round((tall * width) / height));
    const most = Math.max(1, MOST_FRAMES / of.shots.length);
    for (const [index, shot] of of.shots.entries()) {
      const canvas = /** @type {HTMLCanvasElement | null} */ (shots.children[index]?.firstChild);
      if (!canvas) return;
      const room = shots.children[index].clientWidth;
      const count = Math.max(1, Math.min(Math.ceil(room / wide), Math.round(most), shot.last - shot.first + 1));
      [canvas.width, canvas.height] = [Math.max(room, 1) * 2, tall * 2];
      const step = room / count;
      for (let at = 0; at < count; at += 1) {
        try {
          const frame = shot.first + Math.floor(((shot.last - shot.first + 1) * at) / count);
          const { bitmap } = await editor.api.picture(address(`/api/items/${work?.id}/thumbnail`, { frame }));
          if (editor.work !== work || !canvas.isConnected) return;
          strip(canvas, bitmap, at * step * 2, step * 2);
        } catch {
          return; // The bars stand for the shots without their pictures too.
        }
      }
    }
  };

  const showHead = () => {
    const of = film();
    if (!of) return;
    head.style.transform = `translateX(${(track.clientWidth * (at + 0.5)) / of.frames}px)`;
    const shot = shotNow();
    const seconds = of.rate ? at / of.rate : 0;
    const clock = `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
    time.replaceChildren(h("b", {}, `Frame ${at}`), h("span", {}, of.scanned ? ` of ${of.frames}` : ""), h("span", { class: "clock" }, of.scanned ? ` · ${clock}` : ""));
    head.setAttribute("aria-valuemax", String(of.frames - 1));
    head.setAttribute("aria-valuenow", String(at));
    head.setAttribute("aria-valuetext", `frame ${at}, ${clock}${shot ? `, shot ${shot.number + 1} of ${of.shots.length}` : ""}`);
    [...shots.children].forEach((part, index) => part.setAttribute("aria-pressed", String(of.shots[index] === shot)));
    play.replaceChildren(icon(preview.playing ? "pause" : "play"), preview.playing ? "Stop" : "Play shot");
  };

  const preview = new Preview(editor, jobs, () => shotNow(), (frame) => { at = frame; showHead(); });
  new ResizeObserver(showHead).observe(track);
  store.on(["work", "version", "job"], build);
  store.on(["work", "frame"], () => {
    at = store.get("frame");
    const of = film();
    if (of && !of.scanned && !jobs.running && editor.work) jobs.scan(editor.work.id);
    showHead();
  });
  store.on(["version"], () => preview.stop());
  view.redraw();
  return { move, moveShot, moveKey, toggle: () => { if (film()) preview.toggle(); } };
}

/** A shot as `run` would make it, played on the stage as its frames come in. */
class Preview {
  /**
   * @param {import("./editor.js").Editor} editor
   * @param {import("./saving.js").Jobs} jobs
   * @param {() => import("./editor.js").Shot | undefined} shot
   * @param {(frame: number) => void} onframe
   */
  constructor(editor, jobs, shot, onframe) {
    this.editor = editor;
    this.jobs = jobs;
    this.shot = shot;
    this.onframe = onframe;
    this.playing = false;
    this.run = 0;
    /** Films of which a shot was made. @type {Set<number>} */
    this.made = new Set();
  }

  toggle() {
    if (this.playing) this.stop();
    else this.#start();
  }

  stop() {
    if (!this.playing) return;
    this.playing = false;
    this.run += 1;
    const { editor } = this;
    if (editor.work) editor.work.pictured = -1;
    editor.store.set({ preview: false });
    editor.sync.kick({ grey: true });
    this.onframe(editor.get("frame"));
  }

  async #start() {
    const { editor } = this;
    const [work, shot] = [editor.work, this.shot()];
    if (!work || !shot) return;
    const run = (this.run += 1);
    this.playing = true;
    this.onframe(shot.first);
    try {
      await editor.sync.flush();
      const path = `/api/items/${work.id}/preview`;
      const known = this.made.has(work.id) ? await editor.api.get(path) : null;
      if (!known || !known.current || known.shot !== shot.number) {
        if (this.jobs.running) throw Object.assign(new Error("Another job is running"), { hint: "Wait for it, or stop it.", status: 409 });
        this.jobs.follow((await editor.api.send("POST", path, { shot: shot.number, most: 240 })).job);
        this.made.add(work.id);
      }
      editor.store.set({ preview: true });
      await this.#play(path, shot, run);
    } catch (error) {
      this.stop();
      editor.tell(error);
    }
  }

  /** @param {string} path @param {import("./editor.js").Shot} shot @param {number} run */
  async #play(path, shot, run) {
    const { editor } = this;
    /** @type {ImageBitmap[]} */
    const frames = [];
    say("Colouring the shot. It plays as it is made.");
    for (let index = 0; run === this.run; index += 1) {
      const began = performance.now();
      const about = index < frames.length ? null : await editor.api.get(path);
      if (about && index >= about.count) {
        const making = editor.get("job")?.kind === "preview" && this.jobs.running;
        if (!making && about.count === 0) throw Object.assign(new Error(editor.get("job")?.error ?? "The shot has no frames"), { hint: "", status: 409 });
        if (!making) index = -1; // from the start again
        else {
          index -= 1;
          await new Promise((go) => setTimeout(go, 150));
        }
        continue;
      }
      if (index >= frames.length) frames[index] = (await editor.api.picture(`${path}/${index}`)).bitmap;
      if (run !== this.run) return;
      editor.view.show({ grey: null, result: frames[index] });
      this.onframe(shot.first + index);
      const wait = 1000 / (about?.rate ?? editor.work?.detail.film.rate ?? 24) - (performance.now() - began);
      await new Promise((go) => setTimeout(go, Math.max(wait, 0)));
    }
  }
}
