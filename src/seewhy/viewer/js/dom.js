// Elements, made of text that can never become markup.

/**
 * @param {string} tag
 * @param {Record<string, any>} [given] attributes; `on...` are listeners, `class` is the class, null and false are left out
 * @param {...(Node | string | null | undefined)} children
 * @returns {any} the element
 */
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, String(value));
  }
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
  return element;
}

/**
 * The children of an element, in this order; those that stay are not touched, so that they keep the focus.
 * @param {Element} parent
 * @param {Element[]} children
 */
export function arrange(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, i) => {
    if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] ?? null);
  });
}

/**
 * An element in the proportions of a picture; higher than the window only where it would be too narrow to be seen.
 * @param {HTMLElement} element
 * @param {{width: number, height: number}} picture
 */
export function shape(element, { width, height }) {
  element.style.setProperty("aspect-ratio", `${width} / ${height}`);
  element.style.setProperty("max-width", `max(48px, ${(90 * width) / height}vh)`);
}

/**
 * One of several, as buttons that a screen reader announces as pressed or not.
 * @param {string} label what is chosen
 * @param {{value: string, text: string, title?: string}[]} options
 * @param {string} chosen
 * @param {(value: string) => void} choose
 * @returns {HTMLElement}
 */
export function choice(label, options, chosen, choose) {
  const group = h("div", { class: "choice", role: "group", "aria-label": label });
  for (const { value, text, title } of options) {
    const button = h("button", { type: "button", "aria-pressed": String(value === chosen), title }, text);
    button.addEventListener("click", () => {
      for (const other of group.children) other.setAttribute("aria-pressed", String(other === button));
      choose(value);
    });
    group.append(button);
  }
  return group;
}

/**
 * @param {string} label
 * @param {[value: string, text: string][]} options
 * @param {string} chosen
 * @param {(value: string) => void} choose
 * @returns {HTMLLabelElement}
 */
export function select(label, options, chosen, choose) {
  const box = h("select", { onchange: () => choose(box.value) });
  for (const [value, text] of options) box.append(h("option", { value, selected: value === chosen }, text));
  return h("label", { class: "field" }, h("span", {}, label), box);
}

/**
 * @param {string} label
 * @param {{min: number, max: number, step: number, value: number}} range
 * @param {(value: number) => void} moved
 * @returns {HTMLLabelElement}
 */
export function slider(label, { min, max, step, value }, moved) {
  const input = h("input", { type: "range", min, max, step, value });
  input.addEventListener("input", () => moved(Number(input.value)));
  return h("label", { class: "field" }, h("span", {}, label), input);
}

/**
 * A button that copies what is made when it is pressed.
 * @param {string} name
 * @param {() => string} made
 * @param {(text: string) => void} [also]
 * @returns {HTMLButtonElement}
 */
export function copyButton(name, made, also = () => {}) {
  const button = h("button", { type: "button" }, name);
  button.addEventListener("click", async () => {
    const text = made();
    also(text);
    button.textContent = (await copied(text)) ? "Copied" : "Not copied";
    setTimeout(() => (button.textContent = name), 1500);
  });
  return button;
}

/**
 * Text on the clipboard, also where the page has no leave to write to it.
 * @param {string} text
 * @returns {Promise<boolean>} whether it is there
 */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const focused = document.activeElement;
    const box = h("textarea", { class: "unseen", "aria-hidden": "true" });
    box.value = text;
    document.body.append(box);
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
    return done;
  }
}
