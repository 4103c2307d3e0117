// Numbers for people, as the figures write them.

/**
 * Two or three digits, a real minus sign, 3.1e-4 when it is small.
 * @param {number} value
 * @returns {string}
 */
export function number(value) {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  let text;
  if (size >= 1000) text = size < 1e6 ? size.toFixed(0) : size.toExponential(1);
  else if (size >= 10) text = String(Number(size.toPrecision(3)));
  else if (size >= 1e-3 || size === 0) text = String(Number(size.toPrecision(2)));
  else text = size.toExponential(1);
  text = text.replace(/e([+-])(\d+)/, (_, sign, power) => `e${sign === "-" ? "-" : ""}${power}`);
  return value < 0 ? `−${text}` : text;
}

/**
 * @param {number | null} share 0..1; null where nobody knows it
 * @returns {string}
 */
export function percentage(share) {
  if (share === null || !Number.isFinite(share)) return "–";
  const size = Math.abs(100 * share);
  const text = size >= 99.95 && size < 100 ? "> 99.9" : size > 0 && size < 0.05 ? "< 0.1" : size.toFixed(size >= 100 ? 0 : 1);
  return `${share < 0 ? "−" : ""}${text} %`;
}
