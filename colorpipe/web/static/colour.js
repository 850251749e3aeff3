/**
 * CIE Lab (D65) and sRGB, as the pipeline counts them: L is 0..100, a and b are CIE units. A colour of the page is its
 * a and b alone; the lightness is always the picture's.
 */

/** @typedef {[number, number]} AB a and b, CIE units */
/** @typedef {[number, number, number]} RGB 0..255 */

const WHITE = [0.95047, 1, 1.08883];

/** @param {number} value 0..1, as stored */
const toLinear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
/** @param {number} value 0..1, of light */
const fromLinear = (value) => (value <= 0.0031308 ? value * 12.92 : 1.055 * value ** (1 / 2.4) - 0.055);
/** @param {number} value */
const compress = (value) => (value > 216 / 24389 ? Math.cbrt(value) : (24389 / 27 * value + 16) / 116);
/** @param {number} value */
const expand = (value) => (value > 6 / 29 ? value ** 3 : (116 * value - 16) * 27 / 24389);

/**
 * @param {RGB} rgb
 * @returns {[number, number, number]} L, a, b
 */
export function labOf([red, green, blue]) {
  const [r, g, b] = [toLinear(red / 255), toLinear(green / 255), toLinear(blue / 255)];
  const x = compress((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / WHITE[0]);
  const y = compress(0.2126729 * r + 0.7151522 * g + 0.072175 * b);
  const z = compress((0.0193339 * r + 0.119192 * g + 0.9503041 * b) / WHITE[2]);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/**
 * The light of a colour, 0..1 where sRGB can show it.
 *
 * @param {number} L
 * @param {AB} ab
 */
function linear(L, [a, b]) {
  const fy = (L + 16) / 116;
  const [x, y, z] = [expand(fy + a / 500) * WHITE[0], expand(fy), expand(fy - b / 200) * WHITE[2]];
  return [
    3.2404542 * x - 1.5371385 * y - 0.4985314 * z,
    -0.969266 * x + 1.8760108 * y + 0.041556 * z,
    0.0556434 * x - 0.2040259 * y + 1.0572252 * z,
  ];
}

/**
 * Whether sRGB can show a colour at a lightness.
 *
 * @param {number} L
 * @param {AB} ab
 */
export const exists = (L, ab) => linear(L, ab).every((value) => value >= -5e-4 && value <= 1.0005);

/**
 * @param {number} L
 * @param {AB} ab
 * @returns {RGB} clipped where sRGB cannot show it
 */
export function rgbOf(L, ab) {
  return /** @type {RGB} */ (
    linear(L, ab).map((value) => Math.round(255 * fromLinear(Math.min(Math.max(value, 0), 1)))));
}

/**
 * The strongest of the colours of a hue that exist at a lightness, as its chroma.
 *
 * @param {number} L
 * @param {number} hue degrees
 */
export function mostChroma(L, hue) {
  let [low, high] = [0, 140];
  for (let step = 0; step < 12; step += 1) {
    const middle = (low + high) / 2;
    if (exists(L, fromHue(hue, middle))) low = middle;
    else high = middle;
  }
  return low;
}

/**
 * The nearest colour of the same hue that exists at a lightness.
 *
 * @param {number} L
 * @param {AB} ab
 * @returns {AB}
 */
export function fit(L, ab) {
  if (exists(L, ab)) return ab;
  const [hue, chroma] = toHue(ab);
  return fromHue(hue, Math.min(chroma, mostChroma(L, hue)));
}

/**
 * @param {number} hue degrees
 * @param {number} chroma
 * @returns {AB}
 */
export const fromHue = (hue, chroma) => [
  chroma * Math.cos((hue * Math.PI) / 180), chroma * Math.sin((hue * Math.PI) / 180),
];

/**
 * @param {AB} ab
 * @returns {[number, number]} hue in degrees, 0..360, and chroma
 */
export const toHue = ([a, b]) => [((Math.atan2(b, a) * 180) / Math.PI + 360) % 360, Math.hypot(a, b)];

/**
 * A colour for the screen, at a lightness.
 *
 * @param {number} L
 * @param {AB} ab
 */
export const cssOf = (L, ab) => `rgb(${rgbOf(L, fit(L, ab)).join(" ")})`;

/**
 * @param {number} L
 * @param {AB} ab
 */
export const hexOf = (L, ab) => `#${rgbOf(L, fit(L, ab)).map((value) => value.toString(16).padStart(2, "0")).join("")}`;

/**
 * What a person typed, as a colour; null where it is none.
 *
 * @param {string} text #rgb or #rrggbb, with or without #
 * @returns {AB | null}
 */
export function fromHex(text) {
  const found = /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(text.trim());
  if (!found) return null;
  const digits = found[1].length === 3 ? [...found[1]].map((digit) => digit + digit).join("") : found[1];
  const [, a, b] = labOf(/** @type {RGB} */ ([0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16))));
  return [a, b];
}

/** Hues of CIE Lab where the names change, degrees. */
const NAMES = /** @type {[number, string][]} */ ([
  [18, "pink"], [42, "red"], [56, "red-orange"], [76, "orange"], [92, "amber"], [108, "yellow"],
  [128, "yellow-green"], [165, "green"], [190, "sea green"], [225, "turquoise"], [265, "sky blue"], [309, "blue"],
  [322, "violet"], [338, "purple"], [360, "magenta"],
]);

/**
 * A colour in words, for screen readers and for those who see colours otherwise.
 *
 * @param {AB} ab
 */
export function wordsOf(ab) {
  const [hue, chroma] = toHue(ab);
  if (chroma < 4) return "no colour";
  const strength = chroma < 14 ? "faint " : chroma < 30 ? "soft " : chroma < 55 ? "" : "strong ";
  const name = NAMES.find(([end]) => hue <= end);
  return strength + (name ? name[1] : "pink");
}
