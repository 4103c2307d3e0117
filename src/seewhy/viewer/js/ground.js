// What maps are drawn over: the crop that the model saw, or the whole photo with the crop where it lies.
import { drawnSize, pictureOf, sheet, stretched } from "./drawing.js";

/**
 * @typedef {import("./drawing.js").Box} Box
 * @typedef {object} Seen of a photo, see viewed.py
 * @property {[number, number]} size
 * @property {string} crop
 * @property {[number, number]} cropSize
 * @property {string | null} whole
 * @property {[number, number, number, number] | null} box
 *
 * @typedef {object} Ground
 * @property {HTMLCanvasElement} canvas what lies below the maps
 * @property {HTMLCanvasElement} original the same in its colours
 * @property {Uint8ClampedArray} grey of the crop, stretched
 * @property {Box} box where the crop lies on the canvas, in its pixels
 */

/** Whether the whole photo can be shown, and is more than the crop. @param {Seen} photo */
export function hasWhole(photo) {
  return Boolean(photo.whole && photo.box);
}

/**
 * @param {Seen} photo
 * @param {boolean} whole
 * @returns {Promise<Ground>}
 */
export async function groundOf(photo, whole) {
  const crop = await pictureOf(photo.crop);
  if (whole && photo.whole && photo.box) {
    const picture = await pictureOf(photo.whole);
    const [width, height] = drawnSize(picture.naturalWidth, picture.naturalHeight);
    const [left, top, right, bottom] = photo.box.map((edge, i) => Math.round((edge * (i % 2 ? height : width)) / photo.size[i % 2]));
    const box = { x: left, y: top, width: Math.max(1, right - left), height: Math.max(1, bottom - top) };
    const grey = stretched(sheet(crop, box.width, box.height));
    return { canvas: dimmed(sheet(picture, width, height)), original: sheet(picture, width, height).canvas, grey, box };
  }
  const [width, height] = drawnSize(...photo.cropSize);
  const context = sheet(crop, width, height);
  return { canvas: context.canvas, original: context.canvas, grey: stretched(context), box: { x: 0, y: 0, width, height } };
}

/** The photo beyond the crop: the model did not see it. @param {CanvasRenderingContext2D} context */
function dimmed(context) {
  const { width, height } = context.canvas;
  const image = context.getImageData(0, 0, width, height);
  const { data } = image;
  for (let i = 0; i < data.length; i += 4) {
    const grey = (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471) >> 16;
    data[i] = data[i + 1] = data[i + 2] = 0.35 * grey + 80;
  }
  context.putImageData(image, 0, 0);
  return context.canvas;
}
