/** The album: a strip of its pictures with their state; saving, and settings for all. */

import { address, Refused } from "./api.js";
import { byId, h, icon, roving } from "./dom.js";
import { ask, say, warn } from "./messages.js";
import { cover } from "./proposals.js";

const THUMBNAILS_AFTER = 400;

export const STATES = /** @type {Record<string, string>} */ ({
  new: "untouched", made: "made before", changed: "edited", queued: "waiting", saving: "saving", saved: "saved", failed: "failed", refused: "unreadable",
});

/**
 * @param {import("./editor.js").Editor} editor
 * @param {import("./saving.js").Jobs} jobs
 */
export function strip(editor, jobs) {
  const { store } = editor;
  const place = byId("strip");
  const list = h("div", { class: "strip-list", role: "group", "aria-label": "Pictures of the album" });
  const actions = h("div", { class: "strip-actions" });
  const step = (/** @type {1 | -1} */ by, /** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ key) => h("button", {
    type: "button", class: "quiet", "aria-label": label, "aria-keyshortcuts": key, title: `${label} (${key})`, onclick: () => editor.openNext(by),
  }, icon(name));
  place.replaceChildren(step(-1, "left", "Previous picture", "PageUp"), list, h("div", { class: "transport" }, step(1, "right", "Next picture", "PageDown")), actions);
  roving(list, ".thumb");
  /** Revision that each thumbnail shows. @type {Map<number, number>} */
  const shown = new Map();
  let loading = false;

  const build = () => {
    const items = store.get("items");
    document.body.dataset.album = items.length > 1 ? "many" : "one";
    place.hidden = items.length < 2 && items[0]?.kind !== "film";
    shown.clear();
    list.replaceChildren(...items.map((item) => {
      const canvas = h("canvas", { width: 184, height: 124 });
      const button = h("button", { type: "button", class: "thumb", title: item.folder ? `${item.folder}/${item.name}` : item.name, onclick: () => open(item.id) },
        canvas, h("span", { class: "mark state" }), item.kind === "film" ? h("span", { class: "film" }, "Film") : null, h("span", { class: "name" }, item.name));
      return Object.assign(button, { item: item.id });
    }));
    show();
  };

  /** @param {number} id */
  const open = async (id) => {
    const item = store.get("items").find((one) => one.id === id);
    if (item?.state === "refused") {
      warn("error", { text: item.error ?? `${item.name} cannot be read`, hint: item.hint ?? "" });
      return;
    }
    try {
      await editor.open(id);
    } catch (error) {
      editor.tell(error);
    }
  };

  const show = () => {
    const items = store.get("items");
    for (const [index, button] of [...list.children].entries()) {
      const item = items[index];
      const current = item.id === editor.work?.id;
      if (current) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
      /** @type {HTMLElement} */ (button).tabIndex = current ? 0 : -1;
      button.setAttribute("aria-label", `${item.name}, ${STATES[item.state] ?? item.state}${item.painted ? `, ${item.painted} strokes` : ""}${item.error ? `: ${item.error}` : ""}`);
      const mark = /** @type {HTMLElement} */ (button.querySelector(".mark"));
      mark.dataset.state = item.state;
      mark.textContent = STATES[item.state] ?? item.state;
    }
    showActions();
    showTitle();
    if (store.get("job")?.state !== "running") thumbnails();
  };

  const showTitle = () => {
    const { item } = editor;
    byId("file-name").textContent = item ? (item.folder ? `${item.folder}/${item.name}` : item.name) : "";
    byId("file-name").title = item?.name ?? "";
    const state = byId("file-state");
    state.dataset.state = item?.state ?? "new";
    state.textContent = item ? STATES[item.state] ?? item.state : "";
    document.title = item ? `${item.state === "changed" ? "• " : ""}${item.name} – colorpipe` : "colorpipe paint";
    /** @type {HTMLButtonElement} */ (byId("save")).disabled = !item || jobs.running;
  };

  const showActions = () => {
    const job = store.get("job");
    if (job?.state === "running") {
      const frames = job.of_frames ? ` · frame ${job.frames} of ${job.of_frames}` : "";
      const total = job.of_frames && job.total === 1 ? job.of_frames : job.total;
      const done = job.of_frames && job.total === 1 ? job.frames : job.done;
      const doing = { save: "Saving", scan: "Finding shots in", preview: "Colouring a shot of" }[/** @type {"save"} */ (job.kind)] ?? job.kind;
      const name = store.get("items").find((item) => item.id === job.item)?.name ?? "";
      const text = `${doing} ${name}${job.total > 1 ? ` · ${Math.min(job.done + 1, job.total)} of ${job.total}` : ""}${frames}`;
      const bar = actions.querySelector("progress") ?? h("progress", { "aria-label": "Progress" });
      if (total) [bar.max, bar.value] = [total, done];
      const line = actions.querySelector("p") ?? h("p", {});
      line.textContent = text;
      line.title = text;
      if (!bar.isConnected) actions.replaceChildren(h("div", { class: "progress" }, bar, h("button", { type: "button", class: "button", onclick: () => jobs.stop() }, "Stop"), line));
      return;
    }
    const many = store.get("items").length > 1;
    if (actions.querySelector("#save-all") || (!many && actions.childElementCount === 0)) {
      actions.querySelector("#save-all")?.replaceChildren(saveLabel());
      return;
    }
    actions.replaceChildren(...(many ? [
      h("button", { type: "button", class: "button", id: "save-all", onclick: () => saveAll() }, saveLabel()),
      h("button", { type: "button", class: "button", id: "apply-all", title: "Method, weights and all settings of this picture, not its strokes", onclick: () => applyAll() }, "Settings to all"),
    ] : []));
  };

  const changed = () => store.get("items").filter((item) => item.state === "changed").length;
  const saveLabel = () => (changed() ? `Save ${changed()} edited` : "Save all");
  const saveAll = async () => {
    if (changed()) {
      await jobs.save("changed");
      return;
    }
    const { length } = store.get("items").filter((item) => item.state !== "refused");
    if (await ask({ title: `Save all ${length}?`, text: ["Each gets its full-size result. What is done already is skipped, and originals are never touched."], yes: "Save all" })) await jobs.save("all");
  };

  const applyAll = async () => {
    const { work } = editor;
    const items = store.get("items");
    if (!work) return;
    const others = items.filter((item) => item.id !== work.id && item.state !== "refused").length;
    const yes = await ask({
      title: `Use these settings for ${others} more?`, yes: "Use for all",
      text: ["Method, weights and all settings of this picture go to the others. Their strokes stay. Their own settings are replaced."],
    });
    if (!yes) return;
    try {
      await editor.sync.flush();
      const { changed: ids } = await editor.api.send("POST", "/api/settings", { from: work.id, to: "all" });
      // What the page holds of the others is asked for anew when they are opened.
      for (const id of ids) if (id !== work.id) await editor.refresh(id);
      say(`Used for ${ids.filter((/** @type {number} */ id) => id !== work.id).length} more.`);
    } catch (error) {
      editor.tell(error);
    }
  };

  /** Thumbnails, one after the other, those of changed pictures again. */
  const thumbnails = async () => {
    if (loading || place.hidden) return;
    loading = true;
    await new Promise((go) => setTimeout(go, THUMBNAILS_AFTER));
    for (const [index, item] of [...store.get("items").entries()]) {
      if (item.state === "refused" || shown.get(item.id) === item.revision || !list.children[index]) continue;
      await editor.sync.idle();
      try {
        const { bitmap } = await editor.api.picture(address(`/api/items/${item.id}/thumbnail`, { rev: item.revision }));
        cover(/** @type {HTMLCanvasElement} */ (list.children[index].querySelector("canvas")), bitmap);
        shown.set(item.id, item.revision);
      } catch (error) {
        shown.set(item.id, item.revision);
        if (error instanceof Refused && error.status === 400) editor.patchItem(item.id, { state: "refused", error: error.message, hint: error.hint });
      }
    }
    loading = false;
  };

  store.on(["album"], build);
  store.on(["items", "job", "work"], show);
  store.on(["pictured"], () => { if (!store.get("busy")) thumbnails(); });
  store.on(["work"], () => list.querySelector('[aria-current="true"]')?.scrollIntoView({ block: "nearest", inline: "center" }));
}
