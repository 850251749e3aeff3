/** What lies over the picture: marks of strokes, the stroke that is being drawn, the brush under the pointer. */

import { cssOf } from "./colour.js";
import { isInside } from "./tools.js";

/** @typedef {import("./state.js").Stroke} Stroke */

const DARK = "rgb(0 0 0 / 65%)";

/**
 * @param {import("./editor.js").Editor} editor
 * @param {import("./view.js").View} view
 * @param {import("./tools.js").Tools} tools
 */
export function paintOver(editor, view, tools) {
  const { store } = editor;

  /** @param {CanvasRenderingContext2D} context @param {readonly [number, number][]} points */
  const trace = (context, points) => {
    context.beginPath();
    points.forEach((place, index) => {
      const [x, y] = view.toStage(place);
      if (index === 0) context.moveTo(x, y);
      else context.lineTo(x, y);
    });
  };

  /** @param {Stroke} stroke */
  const colour = (stroke) => {
    const ab = editor.abOf(stroke);
    return ab ? cssOf(65, ab) : "#a8a8a8";
  };

  /** @param {CanvasRenderingContext2D} context @param {Stroke} stroke @param {boolean} selected */
  const mark = (context, stroke, selected) => {
    const { points, kind } = stroke;
    const radius = Math.max(view.lengthOf(stroke.radius), 3.5);
    context.setLineDash(kind === "keep" ? [4, 4] : []);
    if (points.length > 1) {
      trace(context, points);
      for (const [style, width] of /** @type {[string, number][]} */ ([[DARK, 5], [selected ? "#fff" : colour(stroke), selected ? 3 : 2]])) {
        [context.strokeStyle, context.lineWidth] = [style, width];
        context.stroke();
      }
    }
    const [x, y] = view.toStage(points[0]);
    const size = points.length > 1 ? 4.5 : Math.min(radius, 9);
    context.beginPath();
    context.arc(x, y, size, 0, 7);
    context.fillStyle = kind === "keep" ? "#0008" : colour(stroke);
    context.fill();
    for (const [style, width] of /** @type {[string, number][]} */ ([[DARK, selected ? 6 : 4], ["#fff", selected ? 3 : 1.75]])) {
      [context.strokeStyle, context.lineWidth] = [style, width];
      context.stroke();
    }
    context.setLineDash([]);
  };

  /** @param {CanvasRenderingContext2D} context */
  const drawing = (context) => {
    const { path, doing } = tools;
    if (!path.length || doing === "drag") return;
    const erasing = doing === "erase" || (doing === "key" && store.get("tool") === "eraser");
    const kind = store.get("kind");
    trace(context, path.length > 1 ? path : [path[0], path[0]]);
    [context.lineCap, context.lineJoin] = ["round", "round"];
    context.lineWidth = 2 * view.lengthOf(store.get("radius"));
    context.globalAlpha = erasing ? 0.4 : 0.55;
    context.strokeStyle = erasing ? "#fff" : kind === "paint" ? cssOf(store.get("L"), store.get("ab")) : kind === "keep" ? "#ddd" : "#888";
    context.stroke();
    context.globalAlpha = 1;
  };

  /** @param {CanvasRenderingContext2D} context */
  const brush = (context) => {
    const { cursor } = tools;
    const tool = store.get("tool");
    if (!cursor || tool === "hand" || tools.spaceHeld || (!isInside(cursor) && !tools.doing)) return;
    const [x, y] = view.toStage(cursor);
    const radius = tool === "dropper" ? 7 : Math.max(view.lengthOf(store.get("radius")), 2);
    context.beginPath();
    context.arc(x, y, radius, 0, 7);
    for (const [style, width] of /** @type {[string, number][]} */ ([["rgb(0 0 0 / 70%)", 3.5], ["#fff", 1.5]])) {
      [context.strokeStyle, context.lineWidth] = [style, width];
      context.stroke();
    }
    if (radius > 7 && tool !== "eraser") {
      context.beginPath();
      context.arc(x, y, 2, 0, 7);
      context.fillStyle = store.get("kind") === "paint" ? cssOf(store.get("L"), store.get("ab")) : "#999";
      context.fill();
      [context.strokeStyle, context.lineWidth] = ["#fff", 1];
      context.stroke();
    }
    if (tools.keyboard || tool === "point") {
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + dx * (radius + 3), y + dy * (radius + 3));
        context.lineTo(x + dx * (radius + 9), y + dy * (radius + 9));
      }
      for (const [style, width] of /** @type {[string, number][]} */ ([["rgb(0 0 0 / 70%)", 3.5], ["#fff", 1.5]])) {
        [context.strokeStyle, context.lineWidth] = [style, width];
        context.stroke();
      }
    }
  };

  /** @param {CanvasRenderingContext2D} context */
  return (context) => {
    if (!editor.work || store.get("preview")) return;
    [context.lineCap, context.lineJoin] = ["round", "round"];
    const selected = store.get("selected");
    if (store.get("marks")) editor.strokes.forEach((stroke, index) => mark(context, stroke, index === selected));
    drawing(context);
    brush(context);
  };
}
