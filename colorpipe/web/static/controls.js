/** The settings, drawn from what the server declares: a method's own options appear as soon as it has some. */

import { byId, h } from "./dom.js";
import { hear } from "./messages.js";

/**
 * @typedef {object} Option as the server declares it
 * @property {string} name
 * @property {"number" | "whole" | "switch" | "choice" | "text"} type
 * @property {any} default
 * @property {boolean} optional may be null
 * @property {number | null} min
 * @property {number | null} max
 * @property {any[]} choices
 * @property {string} help
 * @property {boolean} editable
 */
/** @typedef {{label: string, title: string, value: any, actual?: number | null, set: (value: any, dragging: boolean) => void}} Bound */

/** What an option is called where its name alone would not say it. */
const LABELS = /** @type {Record<string, string>} */ ({
  T: "Blending, T", hint_reach: "Reach", temperature: "Warmth", keep_colour: "Keep colour", crf: "Quality, CRF",
});
const GROUPS = /** @type {Record<string, string>} */ ({ colorizer: "Method", decoder: "Decoder", merge: "Under the grey", media: "The file" });

/** @param {string} name */
const labelOf = (name) => LABELS[name] ?? (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");

let numbers = 0;

/** @param {import("./editor.js").Editor} editor */
export function controls(editor) {
  const { store } = editor;
  const place = byId("controls");
  const reach = byId("reach");
  let drawnFor = "";
  /** @type {(() => void)[]} */
  let updates = [];
  let open = false;

  /** @returns {any} */
  const settings = () => editor.work?.doc.now.settings;
  /** @param {string} name */
  const method = (name) => store.get("methods").methods.find((/** @type {any} */ one) => one.name === name);

  /** The options of a group, as the method and decoder have them. @param {string} group @returns {Option[]} */
  const optionsOf = (group) => {
    const { methods } = store.values;
    const now = settings();
    if (group === "colorizer") return method(now.colorizer)?.options ?? [];
    if (group === "decoder") return (now.decoder && methods.decoders[now.decoder]) || [];
    return methods[group] ?? [];
  };

  /** @param {string} group @param {Option} option @param {any} value @param {boolean} dragging */
  const change = (group, option, value, dragging) => {
    const now = settings();
    const options = { ...now.options, [group]: { ...now.options[group], [option.name]: value } };
    editor.setSettings({ ...now, options }, `${labelOf(option.name)} ${value ?? "automatic"}`, dragging ? `${group}.${option.name}` : "");
  };

  /** @param {string} group @param {Option} option */
  const draw = (group, option) => {
    const bound = () => ({
      label: labelOf(option.name), title: option.help,
      value: settings().options[group]?.[option.name] ?? null,
      actual: editor.work?.detail.natural?.[option.name] ?? option.default,
      set: (/** @type {any} */ value, /** @type {boolean} */ dragging) => change(group, option, value, dragging),
    });
    const { element, update } = control(option, bound);
    updates.push(() => update());
    return element;
  };

  /** @param {string} name */
  const setMethod = (name) => {
    const chosen = method(name);
    const decoder = chosen.decoder ?? null;
    const own = defaults(chosen.options);
    const options = { ...settings().options, colorizer: own, decoder: defaults((decoder && store.get("methods").decoders[decoder]) || []) };
    editor.setSettings({ ...settings(), colorizer: name, weights: null, decoder, options }, `method ${name}`);
    hear(chosen.summary);
  };

  const build = () => {
    const now = settings();
    const { methods } = store.values;
    const chosen = method(now.colorizer);
    updates = [];
    const main = new Set(methods.main);
    /** @type {Node[]} */
    const first = [
      select("Method", chosen?.summary ?? "", methods.methods.map((/** @type {any} */ one) => ({
        value: one.name, label: one.available ? one.name : `${one.name} (${(one.reason ?? "not available").replaceAll("`", "")})`, disabled: !one.available,
      })), () => settings().colorizer, setMethod),
    ];
    const weights = chosen?.weights ?? [];
    if (weights.length > 1 || weights.some((/** @type {any} */ one) => !one.here)) {
      const usual = weights.find((/** @type {any} */ one) => one.default)?.name;
      first.push(select("Weights", "", weights.map((/** @type {any} */ one) => ({
        value: one.name, label: one.here ? one.name : `${one.name} (colorpipe models pull ${one.name})`, disabled: !one.here,
      })), () => settings().weights ?? usual, (name) => {
        editor.setSettings({ ...settings(), weights: name === usual ? null : name }, `weights ${name}`);
      }));
    }
    if ((chosen?.decoders ?? []).length > 1) {
      first.push(select("Decoder", "how a distribution becomes one colour", chosen.decoders.map((/** @type {string} */ name) => ({ value: name, label: name })), () => settings().decoder, (name) => {
        const options = { ...settings().options, decoder: defaults(methods.decoders[name] ?? []) };
        editor.setSettings({ ...settings(), decoder: name, options }, `decoder ${name}`);
      }));
    }
    /** @type {Node[]} */
    const rest = [];
    reach.replaceChildren();
    for (const group of ["colorizer", "decoder", "merge", "media"]) {
      const more = [];
      for (const option of optionsOf(group)) {
        const name = `${group}.${option.name}`;
        if (name === "merge.hint_reach") reach.replaceChildren(compact(draw(group, option)));
        else if (main.has(name)) first.push(draw(group, option));
        else more.push(draw(group, option));
      }
      if (more.length) rest.push(h("h3", {}, GROUPS[group]), ...more);
    }
    const details = h("details", { class: "more", ontoggle: () => { open = details.open; } }, h("summary", {}, "More settings"), h("div", { class: "controls" }, ...rest));
    details.open = open;
    place.replaceChildren(...first, ...(rest.length ? [details] : []));
  };

  /** @param {string} label @param {string} title @param {{value: string, label: string, disabled?: boolean}[]} choices @param {() => string} value @param {(value: string) => void} set */
  function select(label, title, choices, value, set) {
    const option = /** @type {Option} */ (/** @type {any} */ ({ type: "choice", choices, optional: false, editable: true, default: null }));
    const { element, update } = control(option, () => ({ label, title, value: value(), set }));
    updates.push(update);
    return element;
  }

  const show = () => {
    if (!editor.work) return;
    const { colorizer, decoder } = settings();
    if (drawnFor !== `${colorizer} ${decoder}`) {
      drawnFor = `${colorizer} ${decoder}`;
      const focused = document.activeElement?.id;
      numbers = 0;
      build();
      if (focused) document.getElementById(focused)?.focus();
    }
    for (const update of updates) update();
  };
  byId("reset").addEventListener("click", () => {
    const { options } = settings();
    const fresh = Object.fromEntries(Object.keys(options).map((group) => [group, { ...options[group], ...defaults(optionsOf(group).filter((option) => option.editable)) }]));
    editor.setSettings({ ...settings(), options: fresh }, "defaults");
  });
  store.on(["work", "version", "pictured"], show);
}

/** @param {Option[]} options */
const defaults = (options) => Object.fromEntries(options.map((option) => [option.name, option.default]));

/**
 * One control, and what brings it up to date.
 *
 * @param {Option} option
 * @param {() => Bound} bound
 * @returns {{element: HTMLElement, update: () => void}}
 */
function control(option, bound) {
  numbers += 1;
  const id = `control-${numbers}`;
  const { label, title } = bound();
  const named = h("label", { for: id, title }, label);
  if (option.type === "switch") return switched(id, named, bound, option);
  if (option.type === "choice") return chosen(id, named, bound, option);
  if (option.type === "text" || !option.editable) return typed(id, named, bound, option);
  return numeric(id, named, bound, option);
}

/** @param {string} id @param {HTMLElement} named @param {() => Bound} bound @param {Option} option */
function switched(id, named, bound, option) {
  const box = h("input", { type: "checkbox", id, disabled: !option.editable, onchange: () => bound().set(box.checked, false) });
  return { element: h("div", { class: "control wide" }, named, h("span", {}, box)), update: () => { box.checked = Boolean(bound().value); } };
}

/** @param {string} id @param {HTMLElement} named @param {() => Bound} bound @param {Option} option */
function chosen(id, named, bound, option) {
  const choices = option.choices.map((choice) => (typeof choice === "object" && choice ? choice : { value: choice, label: String(choice), disabled: false }));
  if (option.optional) choices.unshift({ value: null, label: "automatic", disabled: false });
  const list = h("select", { id, disabled: !option.editable, onchange: () => bound().set(choices[list.selectedIndex].value, false) },
    ...choices.map((choice) => h("option", { disabled: choice.disabled }, choice.label)));
  return {
    element: h("div", { class: "control wide" }, named, list),
    update: () => { list.selectedIndex = choices.findIndex((choice) => choice.value === bound().value); },
  };
}

/** @param {string} id @param {HTMLElement} named @param {() => Bound} bound @param {Option} option */
function typed(id, named, bound, option) {
  const field = h("input", { type: "text", id, disabled: !option.editable, placeholder: "automatic", onchange: () => bound().set(field.value.trim() || option.default, false) });
  return {
    element: h("div", { class: "control wide" }, named, field),
    update: () => { if (document.activeElement !== field) field.value = bound().value ?? ""; },
  };
}

/**
 * A slider with its figure. An empty figure is what the method decides by itself. A double click, or Delete, brings the
 * default back.
 *
 * @param {string} id @param {HTMLElement} named @param {() => Bound} bound @param {Option} option
 */
function numeric(id, named, bound, option) {
  const { name, min, max } = option;
  const bare = min === null || max === null || max === undefined || min === undefined;
  const scale = bare ? null : scaleOf(option);
  const round = (/** @type {number} */ value) => (option.type === "whole" ? Math.round(value) : Number(value.toPrecision(value < 0.1 ? 2 : 3)));
  const set = (/** @type {any} */ value, /** @type {boolean} */ dragging) => bound().set(value, dragging);
  const figure = h("input", {
    type: "number", class: "figure", step: option.type === "whole" ? "1" : "any", min, max, id: bare ? id : false,
    "aria-label": bare ? null : `${bound().label}, as a number`,
    onchange: () => {
      const value = figure.value === "" ? option.default : round(Math.min(Math.max(Number(figure.value), min ?? -Infinity), max ?? Infinity));
      set(value, false);
    },
  });
  const slider = h("input", {
    type: "range", id, min: "0", max: "1000", step: "1", title: option.help, "data-scale": name,
    oninput: () => { if (scale) set(round(scale.value(Number(slider.value) / 1000)), true); },
    ondblclick: () => set(option.default, false),
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 };
      const step = /** @type {Record<string, number>} */ (steps)[event.key];
      if (event.key === "Delete" || event.key === "Backspace") set(option.default, false);
      else if (step && scale) set(round(scale.value(Math.min(Math.max((Number(slider.value) + 20 * step) / 1000, 0), 1))), true);
      else return;
      event.preventDefault();
    },
  });
  const update = () => {
    const { value, actual } = bound();
    const shown = value ?? actual;
    if (document.activeElement !== figure) figure.value = value === null ? "" : String(value);
    figure.placeholder = typeof shown === "number" ? String(round(shown)) : "auto";
    if (scale) slider.value = String(Math.round(1000 * scale.place(typeof shown === "number" ? shown : /** @type {number} */ (min))));
    slider.toggleAttribute("data-unknown", typeof shown !== "number");
    slider.setAttribute("aria-valuetext", value === null ? `automatic${typeof shown === "number" ? `, ${round(shown)}` : ""}` : String(value));
  };
  return { element: h("div", { class: bare ? "control wide" : "control" }, named, bare ? null : slider, figure), update };
}

/**
 * How values lie along a slider: evenly, by their root where they begin at 0, by their logarithm where they span much.
 *
 * @param {Option} option
 */
function scaleOf(option) {
  const [min, max] = [/** @type {number} */ (option.min), /** @type {number} */ (option.max)];
  const clamp = (/** @type {number} */ value) => Math.min(Math.max(value, 0), 1);
  if (min > 0 && max / min > 100) {
    const span = Math.log(max / min);
    return { value: (/** @type {number} */ at) => min * Math.exp(at * span), place: (/** @type {number} */ value) => clamp(Math.log(value / min) / span) };
  }
  const power = min === 0 && max > 1 ? 2 : 1;
  return { value: (/** @type {number} */ at) => min + (max - min) * at ** power, place: (/** @type {number} */ value) => clamp((value - min) / (max - min)) ** (1 / power) };
}

/** A control in the narrow form of the bar above the picture. @param {HTMLElement} element */
function compact(element) {
  element.className = "field compact";
  return element;
}
