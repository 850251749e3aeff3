/** The picture on the canvas: grey beside the result, zoom and pan. It knows nothing of strokes. */

/** @typedef {[number, number]} Place shares of the picture's width and height */
/** @typedef {"split" | "grey" | "colour"} Mode */

const MOST_ZOOM = 32;
const SHARP_FROM = 6;

export class View {
  /**
   * @param {HTMLElement} stage
   * @param {HTMLCanvasElement} canvas the picture alone
   * @param {HTMLCanvasElement} overlay what lies over it: drawn by `paintOver`
   * @param {HTMLElement} divider
   */
  constructor(stage, canvas, overlay, divider) {
    this.stage = stage;
    this.canvas = canvas;
    this.overlay = overlay;
    this.divider = divider;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    this.above = /** @type {CanvasRenderingContext2D} */ (overlay.getContext("2d"));
    /** @type {ImageBitmap | null} */
    this.grey = null;
    /** @type {ImageBitmap | null} */
    this.result = null;
    this.width = 1;
    this.height = 1;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.fitted = true;
    this.split = 0.5;
    /** @type {Mode} */
    this.mode = "split";
    /** @type {(context: CanvasRenderingContext2D) => void} */
    this.paintOver = () => {};
    /** @type {() => void} */
    this.onchange = () => {};
    this.pending = 0;
    new ResizeObserver(() => this.#resize()).observe(stage);
    this.#resize();
  }

  /** Size in CSS pixels. */
  get room() {
    return { width: this.stage.clientWidth, height: this.stage.clientHeight };
  }

  /** Part of the picture that can be seen, in CSS pixels of the stage. */
  get seen() {
    const { width, height } = this.room;
    const left = Math.max(0, this.x);
    const top = Math.max(0, this.y);
    return {
      left, top,
      right: Math.max(left, Math.min(width, this.x + this.width * this.scale)),
      bottom: Math.max(top, Math.min(height, this.y + this.height * this.scale)),
    };
  }

  /** Where the divider stands, in CSS pixels of the stage. */
  get dividerX() {
    const { left, right } = this.seen;
    return left + (right - left) * this.split;
  }

  /**
   * Another picture: the view is fitted anew.
   *
   * @param {number} width of the picture as the page has it, pixels
   * @param {number} height
   */
  open(width, height) {
    this.width = width;
    this.height = height;
    this.grey = null;
    this.result = null;
    this.fit();
  }

  /** @param {{grey?: ImageBitmap | null, result?: ImageBitmap | null}} pictures */
  show(pictures) {
    if (pictures.grey !== undefined) this.grey = pictures.grey;
    if (pictures.result !== undefined) this.result = pictures.result;
    this.redraw();
  }

  /** The whole picture, as large as it can be. */
  fit() {
    const { width, height } = this.room;
    const margin = width < 600 ? 8 : 28;
    this.scale = Math.max(0.01, Math.min((width - 2 * margin) / this.width, (height - 2 * margin) / this.height));
    this.x = (width - this.width * this.scale) / 2;
    this.y = (height - this.height * this.scale) / 2;
    this.fitted = true;
    this.redraw();
  }

  /** One pixel of the page's picture on one of the screen. */
  actual() {
    this.zoomTo(1 / window.devicePixelRatio);
  }

  /**
   * @param {number} scale CSS pixels for one of the picture
   * @param {number} [x] what stays in place, in CSS pixels of the stage; its middle if left out
   * @param {number} [y]
   */
  zoomTo(scale, x = this.room.width / 2, y = this.room.height / 2) {
    const least = Math.min(this.#fitScale() / 2, 1);
    const next = Math.min(Math.max(scale, least), MOST_ZOOM);
    this.x = x - ((x - this.x) * next) / this.scale;
    this.y = y - ((y - this.y) * next) / this.scale;
    this.scale = next;
    this.fitted = false;
    this.#keepInSight();
    this.redraw();
  }

  /**
   * @param {number} dx CSS pixels
   * @param {number} dy
   */
  panBy(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.fitted = false;
    this.#keepInSight();
    this.redraw();
  }

  /**
   * Pans as little as is needed to see a place.
   *
   * @param {Place} place
   */
  reveal(place) {
    const [x, y] = this.toStage(place);
    const { width, height } = this.room;
    const edge = Math.min(40, width / 6);
    const dx = x < edge ? edge - x : x > width - edge ? width - edge - x : 0;
    const dy = y < edge ? edge - y : y > height - edge ? height - edge - y : 0;
    if (!this.fitted && (dx || dy)) this.panBy(dx, dy);
  }

  /**
   * @param {Place} place
   * @returns {[number, number]} CSS pixels of the stage
   */
  toStage([x, y]) {
    return [this.x + x * this.width * this.scale, this.y + y * this.height * this.scale];
  }

  /**
   * @param {{clientX: number, clientY: number}} event
   * @returns {Place} beyond 0..1 beside the picture
   */
  toPicture({ clientX, clientY }) {
    const box = this.stage.getBoundingClientRect();
    return [
      (clientX - box.left - this.x) / (this.width * this.scale), (clientY - box.top - this.y) / (this.height * this.scale),
    ];
  }

  /** CSS pixels of a share of the longer side. @param {number} share */
  lengthOf(share) {
    return share * Math.max(this.width, this.height) * this.scale;
  }

  /**
   * A pixel of the grey picture or of the result.
   *
   * @param {"grey" | "result"} which
   * @param {Place} place
   * @returns {[number, number, number] | null}
   */
  pixel(which, [x, y]) {
    const bitmap = which === "grey" ? this.grey : this.result;
    if (!bitmap) return null;
    const one = new OffscreenCanvas(1, 1);
    const context = /** @type {OffscreenCanvasRenderingContext2D} */ (one.getContext("2d"));
    const column = Math.min(bitmap.width - 1, Math.max(0, Math.floor(x * bitmap.width)));
    const row = Math.min(bitmap.height - 1, Math.max(0, Math.floor(y * bitmap.height)));
    context.drawImage(bitmap, column, row, 1, 1, 0, 0, 1, 1);
    const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b];
  }

  /** Draws at the next frame of the screen. */
  redraw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.#draw();
    });
  }

  #draw() {
    const { context, above } = this;
    const ratio = window.devicePixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.imageSmoothingEnabled = this.scale * ratio < SHARP_FROM;
    context.imageSmoothingQuality = "high";
    const first = this.mode === "grey" ? this.grey : this.result ?? this.grey;
    this.#picture(first);
    if (this.mode === "split" && this.grey && this.result) {
      context.save();
      context.beginPath();
      context.rect(0, 0, this.dividerX, this.room.height);
      context.clip();
      this.#picture(this.grey);
      context.restore();
    }
    this.divider.hidden = this.mode !== "split" || !this.grey;
    this.divider.style.transform = `translateX(${this.dividerX}px)`;
    above.setTransform(1, 0, 0, 1, 0, 0);
    above.clearRect(0, 0, this.overlay.width, this.overlay.height);
    above.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paintOver(above);
    this.onchange();
  }

  /** @param {ImageBitmap | null} bitmap */
  #picture(bitmap) {
    if (bitmap) this.context.drawImage(bitmap, this.x, this.y, this.width * this.scale, this.height * this.scale);
  }

  #fitScale() {
    const { width, height } = this.room;
    return Math.min(width / this.width, height / this.height);
  }

  /** A strip of the picture always stays on the stage. */
  #keepInSight() {
    const { width, height } = this.room;
    const strip = 64;
    this.x = Math.min(Math.max(this.x, strip - this.width * this.scale), width - strip);
    this.y = Math.min(Math.max(this.y, strip - this.height * this.scale), height - strip);
  }

  #resize() {
    const { width, height } = this.room;
    const ratio = window.devicePixelRatio;
    for (const canvas of [this.canvas, this.overlay]) {
      canvas.width = Math.max(1, Math.round(width * ratio));
      canvas.height = Math.max(1, Math.round(height * ratio));
    }
    if (this.fitted) this.fit();
    else this.#keepInSight();
    this.redraw();
  }
}
