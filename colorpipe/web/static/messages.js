/** What the page says: for a moment, until it is closed, or as a question. Screen readers hear all of it. */

import { byId, h, icon } from "./dom.js";

const TOAST_FOR = 2600;
let toastTimer = 0;

/**
 * Said for a moment, over the picture and to screen readers.
 *
 * @param {string} text
 */
export function say(text) {
  const toast = byId("toast");
  toast.textContent = text;
  toast.hidden = false;
  hear(text);
  clearTimeout(toastTimer);
  toastTimer = window.setTimeout(() => { toast.hidden = true; }, TOAST_FOR);
}

/**
 * Said to screen readers alone: what the eye sees anyway.
 *
 * @param {string} text
 */
export function hear(text) {
  const status = byId("status");
  // The same text twice is said twice only if the node is another one.
  status.replaceChildren(h("span", {}, text));
}

/** Which banner is shown, by its key; "" is none. */
let shown = "";

/**
 * Stays until it is closed or the cause is gone.
 *
 * @param {string} key names the cause
 * @param {{text: string, hint?: string, tone?: "bad" | "warn", action?: {label: string, run: () => void}, fixed?: boolean}} told
 */
export function warn(key, { text, hint = "", tone = "bad", action, fixed = false }) {
  const banner = byId("banner");
  shown = key;
  banner.dataset.tone = tone;
  const close = h("button", { type: "button", class: "quiet", "aria-label": "Close this message", onclick: () => settle(key) }, icon("close"));
  banner.replaceChildren(
    icon("warn"),
    h("p", {}, h("b", {}, sentence(text)), hint ? ` ${sentence(hint)}` : ""),
    ...(action ? [h("button", { type: "button", class: "button", onclick: action.run }, action.label)] : []),
    ...(fixed ? [] : [close]),
  );
  banner.hidden = false;
}

/**
 * The cause of a banner is gone.
 *
 * @param {string} key
 */
export function settle(key) {
  if (shown !== key) return;
  shown = "";
  byId("banner").hidden = true;
}

/** @param {string} text */
function sentence(text) {
  const trimmed = text.trim();
  const begun = /^[a-z][a-z]*[ ,]/.test(trimmed) ? trimmed[0].toUpperCase() + trimmed.slice(1) : trimmed;
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/**
 * A question with two answers.
 *
 * @param {{title: string, text: string[], yes: string, no?: string}} question
 * @returns {Promise<boolean>}
 */
export function ask({ title, text, yes, no = "Cancel" }) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("ask-dialog"));
  return new Promise((answer) => {
    const end = (/** @type {boolean} */ value) => () => { answer(value); dialog.close(); };
    dialog.replaceChildren(
      h("header", {}, h("h2", { id: "h-ask" }, title)),
      ...text.map((line) => h("p", {}, line)),
      h("footer", {},
        h("button", { type: "button", class: "button", onclick: end(false) }, no),
        h("button", { type: "button", class: "primary", onclick: end(true) }, yes)),
    );
    dialog.onclose = () => answer(false);
    dialog.showModal();
  });
}
