/** Every command by the keyboard, and the list of keys. Single keys can be turned off in that list. */

import { byId, h, icon, isTyping } from "./dom.js";

/** @typedef {{keys: string[], label: string, does?: Record<string, () => void>}} Row */

/**
 * @param {import("./editor.js").Editor} editor
 * @param {{title: string, rows: Row[]}[]} groups `does` names what event.key each row answers to
 * @param {{undo: () => void, redo: () => void, save: () => void, space: (held: boolean) => void, region: (step: number) => void}} commands
 */
export function keyboard(editor, groups, commands) {
  let single = true;
  /** @type {Record<string, () => void>} */
  const table = Object.assign({}, ...groups.flatMap((group) => group.rows.map((row) => row.does ?? {})));
  const dialog = /** @type {HTMLDialogElement} */ (byId("help-dialog"));

  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.length === 1 && !event.shiftKey ? event.key.toLowerCase() : event.key;
    if (command && !event.altKey) {
      const run = { z: event.shiftKey ? commands.redo : commands.undo, Z: commands.redo, y: commands.redo, s: commands.save }[key];
      if (!run || (isTyping(event.target) && key !== "s")) return;
      event.preventDefault();
      run();
      return;
    }
    if (key === "F6") {
      event.preventDefault();
      commands.region(event.shiftKey ? -1 : 1);
      return;
    }
    if (event.altKey || isTyping(event.target) || (!single && key.length === 1 && key !== "?")) return;
    if (key === " " && !(event.target instanceof HTMLButtonElement || event.target instanceof HTMLInputElement || (event.target instanceof HTMLElement && event.target.closest("summary")))) {
      event.preventDefault();
      if (!event.repeat) commands.space(true);
      return;
    }
    // Keys that move a slider are the slider's.
    if (event.target instanceof HTMLInputElement && ["PageUp", "PageDown", "Delete", "Backspace"].includes(key)) return;
    const run = table[key];
    if (!run) return;
    event.preventDefault();
    run();
  });
  document.addEventListener("keyup", (event) => { if (event.key === " ") commands.space(false); });
  window.addEventListener("blur", () => commands.space(false));

  const close = h("button", { type: "button", class: "quiet", "aria-label": "Close help", onclick: () => dialog.close() }, icon("close"));
  const box = h("input", { type: "checkbox", checked: true, onchange: () => { single = box.checked; } });
  const command = h("code", { class: "command" });
  dialog.replaceChildren(
    h("header", {}, h("h2", { id: "h-help" }, "How it works"), close),
    h("p", {}, "Paint a dab of a colour that you know: it spreads over the surface that belongs to it, as far as the reach goes. Neutral says that a place has no colour, Keep that the method's own colour stays. The grey of your picture is never changed."),
    h("div", { class: "keys" }, ...groups.map(({ title, rows }) => h("section", {}, h("h3", {}, title), h("dl", {}, ...rows.flatMap((row) => [
      h("dt", {}, ...row.keys.map((key) => h("kbd", {}, key))), h("dd", {}, row.label),
    ]))))),
    h("label", { class: "check" }, box, "Single keys work as commands"),
    h("p", { class: "row" }, "The same result without this page, once it is saved:"), command,
  );
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  const open = () => {
    command.textContent = editor.work?.detail.command ?? "";
    dialog.showModal();
  };
  byId("help").addEventListener("click", open);
  table["?"] = open;
}
