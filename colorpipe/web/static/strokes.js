/** Geometry of strokes: thinning a drawn line, cutting with the eraser, finding what lies under the pointer. */

/** @typedef {import("./state.js").Stroke} Stroke */
/** @typedef {[number, number]} Place shares of the picture's width and height */
/** @typedef {{width: number, height: number}} Size of the picture, pixels */

/**
 * The distance of two places as a share of the longer side.
 *
 * @param {Place} one
 * @param {Place} other
 * @param {Size} size
 */
export function distance([x, y], [u, v], { width, height }) {
  const longer = Math.max(width, height);
  return Math.hypot(((x - u) * width) / longer, ((y - v) * height) / longer);
}

/**
 * Where a place lies nearest to a line from `start` to `end`, 0..1, and how far off it is.
 *
 * @param {Place} place
 * @param {Place} start
 * @param {Place} end
 * @param {Size} size
 */
function offLine(place, start, end, size) {
  const [w, h] = [size.width, size.height];
  const [dx, dy] = [(end[0] - start[0]) * w, (end[1] - start[1]) * h];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : ((place[0] - start[0]) * w * dx + (place[1] - start[1]) * h * dy) / length;
  const at = Math.min(Math.max(along, 0), 1);
  return distance(place, [start[0] + (end[0] - start[0]) * at, start[1] + (end[1] - start[1]) * at], size);
}

/**
 * A line with those points left out that lie on it anyway (Douglas and Peucker 1973); four decimals are a tenth of a
 * pixel of a page's picture.
 *
 * @param {Place[]} points
 * @param {number} tolerance share of the longer side
 * @param {Size} size
 * @returns {Place[]}
 */
export function thinned(points, tolerance, size) {
  const kept = new Set([0, points.length - 1]);
  /** @type {[number, number][]} */
  const parts = [[0, points.length - 1]];
  for (let part = parts.pop(); part; part = parts.pop()) {
    const [first, last] = part;
    let [worst, at] = [tolerance, -1];
    for (let index = first + 1; index < last; index += 1) {
      const off = offLine(points[index], points[first], points[last], size);
      if (off > worst) [worst, at] = [off, index];
    }
    if (at < 0) continue;
    kept.add(at);
    parts.push([first, at], [at, last]);
  }
  const rounded = points.filter((_, index) => kept.has(index)).map(rounding);
  return rounded.filter((place, index) => index === 0 || place.join() !== rounded[index - 1].join());
}

/** @param {Place} place @returns {Place} */
const rounding = ([x, y]) => [Math.round(inside(x) * 1e4) / 1e4, Math.round(inside(y) * 1e4) / 1e4];

/** @param {number} value */
export const inside = (value) => Math.min(Math.max(value, 0), 1);

/**
 * What is left of strokes where an eraser went along a path. A stroke is cut where its middle comes within the eraser's
 * radius; pieces keep all else of it.
 *
 * @param {readonly Stroke[]} strokes
 * @param {Place[]} path
 * @param {number} radius share of the longer side
 * @param {Size} size
 * @returns {Stroke[]}
 */
export function erased(strokes, path, radius, size) {
  /** @param {Place} place */
  const hit = (place) => path.length === 1
    ? distance(place, path[0], size) <= radius
    : path.some((end, index) => index > 0 && offLine(place, path[index - 1], end, size) <= radius);
  return strokes.flatMap((stroke) => {
    const dense = resampled(stroke.points, Math.max(Math.min(radius, stroke.radius) / 3, 0.001), size);
    const marks = dense.map(hit);
    if (!marks.includes(true)) return [stroke];
    /** @type {Place[][]} */
    const pieces = [[]];
    dense.forEach((place, index) => {
      if (!marks[index]) pieces[pieces.length - 1].push(place);
      else if (pieces[pieces.length - 1].length) pieces.push([]);
    });
    return pieces.filter((piece) => piece.length > 0)
      .map((piece) => ({ ...stroke, points: thinned(piece, stroke.radius / 20, size) }));
  });
}

/**
 * @param {readonly Place[]} points
 * @param {number} step share of the longer side
 * @param {Size} size
 * @returns {Place[]}
 */
function resampled(points, step, size) {
  /** @type {Place[]} */
  const found = [points[0]];
  for (let index = 1; index < points.length; index += 1) {
    const [[x, y], [u, v]] = [points[index - 1], points[index]];
    const steps = Math.max(1, Math.ceil(distance([x, y], [u, v], size) / step));
    for (let at = 1; at <= steps; at += 1) found.push([x + ((u - x) * at) / steps, y + ((v - y) * at) / steps]);
  }
  return found;
}

/**
 * The number of the topmost stroke under a place, or -1.
 *
 * @param {readonly Stroke[]} strokes
 * @param {Place} place
 * @param {number} slack how far beside it still counts, share of the longer side
 * @param {Size} size
 */
export function under(strokes, place, slack, size) {
  for (let index = strokes.length - 1; index >= 0; index -= 1) {
    const { points, radius } = strokes[index];
    const near = Math.max(radius, slack);
    const touches = points.length === 1
      ? distance(place, points[0], size) <= near
      : points.some((end, at) => at > 0 && offLine(place, points[at - 1], end, size) <= near);
    if (touches) return index;
  }
  return -1;
}
