// Colours for numbers: the tables come from colormaps.py, and are blended with the photo as overlay.py does it.

/**
 * @typedef {object} Colours what the page is given, see page.py
 * @property {Record<string, {sequential: string, diverging: string}>} tables base64 of RGB triples, by name and kind
 * @property {{own: string, groundOfCoarse: number, groundOfFine: number, most: number, rise: number, relief: number,
 *   evenOfCoarse: number, evenOfFine: number, tail: number, mostGain: number}} blend
 */

/** @type {Colours} */
let colours;
/** @type {Map<string, Table>} */
const kept = new Map();
const MOST_KEPT = 64;

/** @typedef {{pixels: Uint32Array, across: number}} Table every colour of a map on a photo: 256 lightnesses by `across` values */

/** @param {Colours} given */
export function useColours(given) {
  colours = given;
  kept.clear();
}

/** @returns {string[]} our own first */
export function colourMaps() {
  return Object.keys(colours.tables);
}

/** @returns {Colours["blend"]} */
export function blending() {
  return colours.blend;
}

/**
 * @param {string} name
 * @param {boolean} diverging
 * @param {boolean} fine
 * @param {number} opacity 0..1
 * @returns {Table}
 */
export function tableOf(name, diverging, fine, opacity) {
  const key = `${name} ${diverging} ${fine} ${opacity}`;
  let table = kept.get(key);
  if (!table) {
    if (kept.size >= MOST_KEPT) kept.clear();
    table = blended(name, diverging, fine, opacity);
    kept.set(key, table);
  }
  return table;
}

/**
 * @param {string} name
 * @param {boolean} diverging
 * @param {boolean} fine
 * @param {number} opacity
 * @returns {Table}
 */
function blended(name, diverging, fine, opacity) {
  const inks = Uint8Array.from(atob(colours.tables[name][diverging ? "diverging" : "sequential"]), (c) => c.charCodeAt(0));
  const across = inks.length / 3;
  const zero = diverging ? (across - 1) / 2 : 0;
  const bytes = new Uint8ClampedArray(256 * across * 4);
  const { own, groundOfCoarse, groundOfFine, most, rise, relief, evenOfCoarse, evenOfFine } = colours.blend;
  for (let light = 0; light < 256; light++) {
    const l = light / 255;
    const ground = (fine && name === own ? groundOfFine : groundOfCoarse) * (1 - l) + l;
    for (let at = 0; at < across; at++) {
      const strength = Math.abs(diverging ? (2 * at) / (across - 1) - 1 : at / (across - 1));
      for (let channel = 0; channel < 3; channel++) {
        const ink = inks[3 * at + channel] / 255;
        let drawn;
        if (name !== own) {
          const share = (fine ? evenOfFine : evenOfCoarse) * opacity;
          drawn = ink * share + l * (1 - share);
        } else if (fine) {
          drawn = (ink * opacity + (inks[3 * zero + channel] / 255) * (1 - opacity)) * ground;
        } else {
          const share = most * strength ** rise * opacity;
          drawn = ink * (1 - relief + 2 * relief * l) * share + ground * (1 - share);
        }
        bytes[4 * (light * across + at) + channel] = Math.round(drawn * 255);
      }
      bytes[4 * (light * across + at) + 3] = 255;
    }
  }
  return { pixels: new Uint32Array(bytes.buffer), across };
}
