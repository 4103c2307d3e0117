// Photos, maps over them and colour bars, on canvases.
import { blending, tableOf } from "./colours.js";
import { upsampled } from "./planes.js";

/**
 * @typedef {import("./planes.js").Grid} Grid
 * @typedef {{high: number, diverging: boolean}} Scale
 * @typedef {{colours: string, opacity: number, fine: boolean}} Ink
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 */

const USUAL = 448; // pixels of a canvas's longer side, at least
const PIXELATED = 4; // a picture enlarged so many times keeps its pixels visible

/**
 * @param {string} source
 * @returns {Promise<HTMLImageElement>}
 */
export async function pictureOf(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

/**
 * The size at which a picture is drawn.
 * @param {number} width
 * @param {number} height
 * @returns {[number, number]}
 */
export function drawnSize(width, height) {
  const factor = Math.max(1, Math.round(USUAL / Math.max(width, height)));
  return [width * factor, height * factor];
}

/**
 * @param {HTMLImageElement} image
 * @param {number} width
 * @param {number} height
 * @returns {CanvasRenderingContext2D} the picture at this size
 */
export function sheet(image, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.imageSmoothingEnabled = width < PIXELATED * image.naturalWidth;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  return context;
}

/**
 * The picture in grey, from black to white but for one per cent at each end: as overlay.stretched.
 * @param {CanvasRenderingContext2D} context
 * @returns {Uint8ClampedArray}
 */
export function stretched(context) {
  const { width, height } = context.canvas;
  const { data } = context.getImageData(0, 0, width, height);
  const grey = new Uint8ClampedArray(width * height);
  const counts = new Uint32Array(256);
  for (let i = 0; i < grey.length; i++) {
    const value = (data[4 * i] * 19595 + data[4 * i + 1] * 38470 + data[4 * i + 2] * 7471 + 0x8000) >> 16;
    grey[i] = value;
    counts[value]++;
  }
  const { tail, mostGain } = blending();
  const [low, high] = [tail, 100 - tail].map((share) => reached(counts, (grey.length * share) / 100));
  const gain = Math.min(255 / Math.max(high - low, 1), mostGain);
  const [half, middle] = [((high - low) * gain) / 2, (high + low) / 2];
  const shift = Math.min(Math.max(middle, half), 255 - half);
  for (let i = 0; i < grey.length; i++) grey[i] = (grey[i] - middle) * gain + shift;
  return grey;
}

/**
 * @param {Uint32Array} counts
 * @param {number} wanted
 * @returns {number} the first value up to which there are so many
 */
function reached(counts, wanted) {
  let sum = 0;
  for (let value = 0; value < counts.length; value++) {
    sum += counts[value];
    if (sum >= wanted) return value;
  }
  return counts.length - 1;
}

/**
 * A map over a grey picture.
 * @param {Uint8ClampedArray} grey (height, width)
 * @param {number} width
 * @param {number} height
 * @param {Grid} grid
 * @param {Scale} scale
 * @param {Ink} ink
 * @returns {ImageData}
 */
export function overlaid(grey, width, height, grid, scale, ink) {
  const { pixels, across } = tableOf(ink.colours, scale.diverging, ink.fine, ink.opacity);
  const values = upsampled(grid, width, height);
  const image = new ImageData(width, height);
  const out = new Uint32Array(image.data.buffer);
  const zero = scale.diverging ? (across - 1) / 2 : 0;
  const steps = across - 1 - zero;
  const factor = scale.high ? steps / scale.high : 0;
  for (let i = 0; i < out.length; i++) {
    let at = Math.round(values[i] * factor) + zero;
    if (at < 0) at = 0;
    else if (at >= across) at = across - 1;
    out[i] = pixels[grey[i] * across + at];
  }
  return image;
}

/**
 * What every colour on the photo stands for: over its light parts above, over its dark ones below.
 * @param {HTMLCanvasElement} canvas
 * @param {Scale} scale
 * @param {Ink} ink
 */
export function drawBar(canvas, scale, ink) {
  const { pixels, across } = tableOf(ink.colours, scale.diverging, ink.fine, ink.opacity);
  const { width, height } = canvas;
  const image = new ImageData(width, height);
  const out = new Uint32Array(image.data.buffer);
  const zero = scale.diverging ? (across - 1) / 2 : 0;
  for (let y = 0; y < height; y++) {
    const light = 255 - Math.round((255 * y) / Math.max(height - 1, 1));
    for (let x = 0; x < width; x++) {
      const at = scale.high ? Math.round(((across - 1) * x) / (width - 1)) : zero;
      out[y * width + x] = pixels[light * across + at];
    }
  }
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
}

/**
 * Where the crop lies on the photo, where that is not all of it.
 * @param {HTMLCanvasElement} canvas
 * @param {Box} box
 */
export function outline(canvas, { x, y, width, height }) {
  if (width >= canvas.width && height >= canvas.height) return;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  for (const [colour, line] of /** @type {[string, number][]} */ ([["#fff", 3], ["#17171c", 1]])) {
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.strokeRect(x - 1, y - 1, width + 2, height + 2);
  }
}
