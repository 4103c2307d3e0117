// Numbers for people, as the figures write them: colormaps.number and cells.percentage.

const EXACT = 100; // decimals that JavaScript tells at most; between two short numbers lies none so near

/**
 * Scientific, with so many decimals; of two that are equally near, the even one. toExponential takes the larger.
 * @param {number} size 0 or more
 * @param {number} decimals
 * @returns {string}
 */
function rounded(size, decimals) {
  const exact = size.toExponential(EXACT);
  const [end, power] = [2 + decimals, 2 + EXACT];
  const last = decimals ? exact[end - 1] : exact[0];
  const tie = /^50*$/.test(exact.slice(end, power));
  return tie && Number(last) % 2 === 0 ? exact.slice(0, decimals ? end : 1) + exact.slice(power) : size.toExponential(decimals);
}

/**
 * Two or three digits, a real minus sign, 3.1e-4 when it is small and 1.2e4 when it is large.
 * @param {number} value
 * @returns {string}
 */
export function number(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 10 ? 3 : 2;
  const [mantissa, power] = rounded(size, digits - 1).split("e");
  let text = `${mantissa}e${Number(power)}`;
  if (size >= 1e-3 || size === 0) text = Number(power) < digits ? String(Number(text)) : `${Number(mantissa)}e${Number(power)}`;
  return value < 0 ? `−${text}` : text;
}

/**
 * Never rounded to all or to nothing.
 * @param {number | null} share of 1: a probability, or a part of a score, which may be negative or more than all; null where nobody knows it
 * @returns {string}
 */
export function percentage(share) {
  if (share === null || !Number.isFinite(share)) return "?";
  const size = Math.abs(share);
  const minus = share < 0 ? "−" : "";
  if (size > 0.999 && size < 1) return `${minus ? "<" : ">"} ${minus}99.9 %`;
  if (size > 0 && size < 0.001) return `${minus ? ">" : "<"} ${minus}0.1 %`;
  if (size >= 1) return `${minus}${(100 * size).toFixed(0)} %`;
  const percent = 100 * size;
  const power = Number(percent.toExponential(EXACT).split("e")[1]);
  return `${minus}${Number(rounded(percent, Math.max(power + 1, 0))).toFixed(1)} %`;
}
