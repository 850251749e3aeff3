/** The pointer on the picture: painting, erasing, taking colours, moving and pinching; and the same by arrow keys. */

import { erased, inside, thinned, under } from "./strokes.js";
import { say } from "./messages.js";

/** @typedef {import("./strokes.js").Place} Place */

const WHEEL_STEP = 0.0018;
const NEAR = 9;

export class Tools {
  /**
   * @param {import("./editor.js").Editor} editor
   * @param {import("./view.js").View} view
   */
  constructor(editor, view) {
    this.editor = editor;
    this.view = view;
    /** @type {Map<number, PointerEvent>} */
    this.pointers = new Map();
    /** Where the brush is, or null beside the picture. @type {Place | null} */
    this.cursor = null;
    /** What is being drawn. @type {Place[]} */
    this.path = [];
    /** @type {"" | "draw" | "erase" | "pan" | "pinch" | "drag" | "key"} */
    this.doing = "";
    this.spaceHeld = false;
    this.keyboard = false;
    this.pinch = { distance: 0, x: 0, y: 0 };
    const { canvas } = view;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#cancel(event));
    canvas.addEventListener("pointerleave", () => { if (!this.doing && !this.keyboard) this.#setCursor(null); });
    view.stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("keyup", (event) => { if (event.key === "Shift") this.#endKeyStroke(); });
    canvas.addEventListener("focus", () => this.#ring(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => {
      this.#endKeyStroke();
      this.keyboard = false;
      this.#ring(false);
      this.#setCursor(null);
    });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    editor.store.on(["tool", "work"], () => this.shape());
    this.shape();
  }

  /** Who works by keys sees that the picture has the focus; who paints sees the picture alone. @param {boolean} on */
  #ring(on) {
    this.view.stage.toggleAttribute("data-ring", on);
  }

  /** The pointer's form over the picture. */
  shape() {
    const tool = this.editor.get("tool");
    const form = this.doing === "pan" ? "grabbing" : this.spaceHeld || tool === "hand" ? "grab" : tool === "dropper" ? "cross" : "none";
    this.view.stage.dataset.cursor = form;
  }

  /** @param {boolean} held */
  holdSpace(held) {
    this.spaceHeld = held;
    this.shape();
    this.view.redraw();
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (!this.editor.work) return;
    this.keyboard = false;
    this.#ring(false);
    this.view.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    if (this.pointers.size === 2) {
      this.path = [];
      this.doing = "pinch";
      this.#startPinch();
      return;
    }
    if (this.pointers.size > 2 || this.doing === "pinch") return;
    const tool = this.editor.get("tool");
    const place = this.view.toPicture(event);
    this.cursor = place;
    if (event.button === 1 || this.spaceHeld || tool === "hand") this.doing = "pan";
    else if (event.button === 2) this.#remove(place);
    else if (event.button === 0) this.#begin(tool, place);
    this.shape();
    this.view.redraw();
  }

  /**
   * @param {import("./editor.js").Tool} tool
   * @param {Place} place
   */
  #begin(tool, place) {
    if (!isInside(place)) return;
    if (this.editor.get("preview")) this.editor.store.set({ preview: false });
    if (tool === "dropper") {
      this.editor.take(place);
      return;
    }
    this.path = [place];
    if (tool === "eraser") this.doing = "erase";
    else if (tool === "brush") this.doing = "draw";
    else {
      const { strokes, size } = this.editor;
      const near = under(strokes, place, NEAR / this.view.lengthOf(1), size);
      if (near >= 0) this.editor.store.set({ selected: near });
      else this.editor.addStroke(this.editor.newStroke(thinned([place], 0, size)), true);
      this.dragged = this.editor.strokes[this.editor.get("selected")];
      this.doing = "drag";
    }
    this.#makeWay(place);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (before) this.pointers.set(event.pointerId, event);
    if (this.doing === "pinch") this.#movePinch();
    else if (this.doing === "pan" && before) this.view.panBy(event.clientX - before.clientX, event.clientY - before.clientY);
    else if ((this.doing === "draw" || this.doing === "erase") && before) {
      for (const step of event.getCoalescedEvents?.() ?? [event]) this.path.push(this.#within(this.view.toPicture(step)));
    } else if (this.doing === "drag" && before) this.#drag(this.view.toPicture(event));
    if (this.keyboard && event.pointerType === "mouse" && Math.abs(event.movementX) + Math.abs(event.movementY) === 0) return;
    this.keyboard = false;
    this.#setCursor(event.pointerType === "touch" && !before ? null : this.view.toPicture(event));
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const { doing, path } = this;
    if (doing === "pinch") {
      if (this.pointers.size === 0) this.doing = "";
      return;
    }
    this.doing = "";
    this.path = [];
    if (doing === "draw") this.#finishStroke(path);
    if (doing === "erase") this.#erase(path);
    if (doing === "drag") {
      this.dragged = undefined;
      this.editor.look(path[path.length - 1]);
    }
    if (event.pointerType === "touch") this.#setCursor(null);
    this.shape();
    this.view.redraw();
  }

  /** @param {PointerEvent} event */
  #cancel(event) {
    this.pointers.delete(event.pointerId);
    [this.doing, this.path, this.dragged] = ["", [], undefined];
    this.view.redraw();
  }

  /** @param {Place[]} path */
  #finishStroke(path) {
    const { editor } = this;
    if (!path.length) return;
    const points = thinned(path, editor.get("radius") / 12, editor.size);
    editor.addStroke(editor.newStroke(points));
    editor.look(points[points.length - 1]);
  }

  /** @param {Place[]} path */
  #erase(path) {
    const { editor } = this;
    const left = erased(editor.strokes, path, editor.get("radius"), editor.size);
    if (left.length === editor.strokes.length && left.every((stroke, index) => stroke === editor.strokes[index])) return;
    editor.store.set({ selected: -1 });
    editor.setStrokes(left, "eraser");
  }

  /** @param {Place} place */
  #remove(place) {
    const { strokes, size } = this.editor;
    const near = under(strokes, place, NEAR / this.view.lengthOf(1), size);
    if (near >= 0) this.editor.deleteStroke(near);
  }

  /** A selected stroke follows the pointer. @param {Place} place */
  #drag(place) {
    const { editor, dragged } = this;
    const selected = editor.get("selected");
    if (!dragged || !editor.strokes[selected]) return;
    const [x, y] = this.path[0];
    const [dx, dy] = [place[0] - x, place[1] - y];
    if (this.path.length === 1 && this.view.lengthOf(Math.hypot(dx, dy)) < 3) return;
    this.path[1] = this.#within(place);
    const points = dragged.points.map(([u, v]) => this.#within([u + dx, v + dy]));
    const moved = { ...dragged, points: thinned(points, 0, editor.size) };
    editor.setStrokes(editor.strokes.map((stroke, index) => (index === selected ? moved : stroke)), "move", `move-${selected}`);
  }

  /** @param {Place} place @returns {Place} */
  #within([x, y]) {
    return [inside(x), inside(y)];
  }

  /** Who paints on the grey side wants to see the colour: the divider goes aside. @param {Place} place */
  #makeWay(place) {
    const { view } = this;
    const [x] = view.toStage(place);
    const room = view.lengthOf(this.editor.get("radius")) + 24;
    if (view.mode !== "split" || x > view.dividerX) return;
    const { left, right } = view.seen;
    this.onsplit(inside((x - room - left) / Math.max(1, right - left)));
  }

  /** @type {(split: number) => void} */
  onsplit = () => {};

  #startPinch() {
    const [one, other] = [...this.pointers.values()];
    this.pinch = {
      distance: Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY),
      x: (one.clientX + other.clientX) / 2, y: (one.clientY + other.clientY) / 2,
    };
  }

  #movePinch() {
    if (this.pointers.size < 2) return;
    const before = this.pinch;
    this.#startPinch();
    const box = this.view.stage.getBoundingClientRect();
    this.view.panBy(this.pinch.x - before.x, this.pinch.y - before.y);
    const factor = before.distance > 0 ? this.pinch.distance / before.distance : 1;
    this.view.zoomTo(this.view.scale * factor, this.pinch.x - box.left, this.pinch.y - box.top);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    const box = this.view.stage.getBoundingClientRect();
    const lines = event.deltaMode === 1 ? 16 : 1;
    if (event.shiftKey) return this.view.panBy(-(event.deltaX + event.deltaY) * lines, 0);
    if (event.altKey) return this.onsize(event.deltaY < 0 ? 1 : -1);
    // A pinch on a touchpad comes as small steps of the wheel with Ctrl.
    const speed = event.ctrlKey ? 6 : 1;
    const factor = Math.exp(-event.deltaY * lines * WHEEL_STEP * speed);
    return this.view.zoomTo(this.view.scale * factor, event.clientX - box.left, event.clientY - box.top);
  }

  /** @type {(step: 1 | -1) => void} */
  onsize = () => {};

  /** @param {Place | null} place */
  #setCursor(place) {
    this.cursor = place;
    this.view.redraw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.editor.work || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" || event.key.startsWith("Arrow")) this.#ring(true);
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const step = /** @type {Record<string, number[]>} */ (steps)[event.key];
    if (step) this.#keyMove(step, event);
    else if (event.key === "Enter") this.#keyDab();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number[]} step @param {KeyboardEvent} event */
  #keyMove([dx, dy], event) {
    const { editor, view } = this;
    const longer = Math.max(view.width, view.height);
    const length = event.altKey ? 0.002 : event.shiftKey ? editor.get("radius") * 0.7 : 0.015;
    const from = this.cursor && this.keyboard ? this.cursor : this.cursor && isInside(this.cursor) ? this.cursor : /** @type {Place} */ ([0.5, 0.5]);
    const to = this.#within([from[0] + (dx * length * longer) / view.width, from[1] + (dy * length * longer) / view.height]);
    this.keyboard = true;
    const tool = editor.get("tool");
    if (event.shiftKey && (tool === "brush" || tool === "eraser")) {
      if (this.doing !== "key") {
        this.doing = "key";
        this.path = [from];
        this.#makeWay(from);
      }
      this.path.push(to);
    }
    this.#setCursor(to);
    view.reveal(to);
  }

  #keyDab() {
    const { editor } = this;
    if (!this.cursor || !isInside(this.cursor)) {
      this.keyboard = true;
      this.#setCursor([0.5, 0.5]);
      say("The brush is in the middle. Arrow keys move it, Enter paints.");
      return;
    }
    const place = this.#within(this.cursor);
    this.keyboard = true;
    const tool = editor.get("tool");
    if (tool === "dropper") editor.take(place);
    else if (tool === "eraser") this.#erase([place]);
    else if (tool === "brush") {
      this.#makeWay(place);
      this.#finishStroke([place]);
    } else if (tool === "point") {
      this.#begin("point", place);
      [this.doing, this.path, this.dragged] = ["", [], undefined];
      editor.look(place);
    }
  }

  #endKeyStroke() {
    if (this.doing !== "key") return;
    const { path } = this;
    [this.doing, this.path] = ["", []];
    if (this.editor.get("tool") === "eraser") this.#erase(path);
    else this.#finishStroke(path);
    this.view.redraw();
  }
}

/** @param {Place} place */
export const isInside = ([x, y]) => x >= 0 && x <= 1 && y >= 0 && y <= 1;
