// Maps as they travel: deflated, in base 85, with what a step stands for; see planes.py.

/**
 * @typedef {{width: number, height: number, kind: string, step: number, data?: string, of?: string[]}} Plane
 * @typedef {{width: number, height: number, values: Float32Array}} Grid
 */

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";
const DIGIT = new Uint8Array(128);
for (let i = 0; i < 85; i++) DIGIT[DIGITS.charCodeAt(i)] = i;

/**
 * @param {string} text base 85
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function bytesOf(text) {
  const whole = Math.ceil(text.length / 5);
  const bytes = new Uint8Array(whole * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < whole; i++) {
    let number = 0;
    for (let k = 0; k < 5; k++) {
      const at = 5 * i + k;
      number = number * 85 + (at < text.length ? DIGIT[text.charCodeAt(at)] : 84);
    }
    view.setUint32(4 * i, number % 2 ** 32);
  }
  return bytes.subarray(0, bytes.length - (5 * whole - text.length));
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes deflated
 * @returns {Promise<ArrayBuffer>}
 */
async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/**
 * The values of the maps of one target, by the id of their view.
 * @param {{id: string, kind: string, plane?: Plane}[]} views in the order in which they are sent
 * @returns {Promise<Map<string, Grid>>}
 */
export async function gridsOf(views) {
  /** @type {Map<string, Grid>} */
  const grids = new Map();
  const maps = views.filter((view) => view.kind === "map");
  const plain = maps.filter((view) => view.plane?.kind !== "product");
  const found = await Promise.all(plain.map((view) => gridOf(/** @type {Plane} */ (view.plane))));
  plain.forEach((view, i) => grids.set(view.id, found[i]));
  for (const { id, plane } of maps) {
    if (plane?.kind !== "product" || !plane.of) continue;
    const [coarse, fine] = plane.of.map((each) => grids.get(each));
    if (coarse && fine) grids.set(id, product(coarse, fine));
  }
  return grids;
}

/**
 * @param {Plane} plane
 * @returns {Promise<Grid>}
 */
export async function gridOf(plane) {
  const { width, height, kind, step } = plane;
  const content = await inflated(bytesOf(plane.data ?? ""));
  if (kind === "f32") return { width, height, values: new Float32Array(content) };
  const whole = kind === "u8" ? new Uint8Array(content) : new Int8Array(content);
  return { width, height, values: Float32Array.from(whole, (each) => each * step) };
}

/**
 * @param {Grid} coarse
 * @param {Grid} fine
 * @returns {Grid}
 */
function product(coarse, fine) {
  const values = upsampled(coarse, fine.width, fine.height);
  for (let i = 0; i < values.length; i++) values[i] *= fine.values[i];
  return { width: fine.width, height: fine.height, values };
}

/**
 * Bilinear with half-pixel centres.
 * @param {Grid} grid
 * @param {number} width
 * @param {number} height
 * @returns {Float32Array}
 */
export function upsampled(grid, width, height) {
  const { values } = grid;
  if (grid.width === width && grid.height === height) return values.slice();
  const across = places(grid.width, width);
  const down = places(grid.height, height);
  const wide = new Float32Array(grid.height * width);
  for (let y = 0; y < grid.height; y++) {
    const from = y * grid.width;
    for (let x = 0; x < width; x++) {
      const a = values[from + across.low[x]];
      wide[y * width + x] = a + (values[from + across.high[x]] - a) * across.share[x];
    }
  }
  const result = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const above = down.low[y] * width;
    const below = down.high[y] * width;
    const share = down.share[y];
    for (let x = 0; x < width; x++) {
      const a = wide[above + x];
      result[y * width + x] = a + (wide[below + x] - a) * share;
    }
  }
  return result;
}

/**
 * @param {number} from
 * @param {number} to
 */
function places(from, to) {
  const low = new Int32Array(to);
  const high = new Int32Array(to);
  const share = new Float32Array(to);
  for (let i = 0; i < to; i++) {
    const at = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1);
    low[i] = Math.floor(at);
    high[i] = Math.min(low[i] + 1, from - 1);
    share[i] = at - low[i];
  }
  return { low, high, share };
}
