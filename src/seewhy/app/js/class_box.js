// A class by its name, with the names to choose from; or by its number, where classes have none.
import { h } from "../../viewer/js/dom.js";

const MOST_SHOWN = 60;

let boxes = 0;

/**
 * @param {string} label
 * @param {(index: number | null) => void} choose null: it was emptied
 * @param {string} [placeholder]
 */
export function classBox(label, choose, placeholder = "") {
  const id = `classes-${++boxes}`;
  const list = h("datalist", { id });
  const input = h("input", { type: "text", list: id, placeholder, autocomplete: "off", spellcheck: "false", "aria-label": label });
  const field = h("label", { class: "field" }, h("span", {}, label), input, list);
  /** @type {string[]} */
  let names = [];
  let count = Infinity;
  /** @type {Map<string, number>} */
  let known = new Map();
  /** The text that was answered last: leaving the field asks nothing again. */
  let answered = "";
  const fill = () => {
    const word = input.value.trim().toLowerCase();
    const fits = names.filter((name) => name.toLowerCase().includes(word)).slice(0, MOST_SHOWN);
    list.replaceChildren(...fits.map((name) => h("option", { value: name })));
  };
  const take = () => {
    const word = input.value.trim();
    if (word === answered) return;
    if (!word) {
      input.setCustomValidity("");
      answered = word;
      choose(null);
      return;
    }
    const number = /^\d+$/.test(word) ? Number(word) : undefined;
    const index = known.get(word.toLowerCase()) ?? number;
    const found = index !== undefined && index < count;
    input.setCustomValidity(found ? "" : "There is no such class.");
    if (found) {
      choose(index);
      answered = word;
    } else input.reportValidity();
  };
  input.addEventListener("input", () => {
    input.setCustomValidity("");
    fill();
    if (known.has(input.value.trim().toLowerCase())) take();
  });
  input.addEventListener("change", take);
  return {
    field,
    /** @param {{classes: string[] | null, count: number | null}} model */
    use(model) {
      const given = model.classes ?? [];
      const times = new Map();
      for (const name of given) times.set(name.toLowerCase(), (times.get(name.toLowerCase()) ?? 0) + 1);
      names = given.map((name, index) => (times.get(name.toLowerCase()) > 1 ? `${name} (${index})` : name));
      count = model.count ?? Infinity;
      known = new Map(names.map((name, index) => [name.toLowerCase(), index]));
      fill();
    },
    /** @param {string} name */
    say(name) {
      input.value = name;
      answered = name.trim();
    },
  };
}
