// The line to the server: messages with numbers, answers to whoever asked, and a new line when it breaks.

const LONGEST_WAIT = 8000;

/** @typedef {Record<string, (message: any) => void>} Handlers by the type of an answer */

export class Link {
  /**
   * @param {(hello: any) => void} opened
   * @param {(state: string) => void} changed "open", "waiting" or "gone"
   */
  constructor(opened, changed) {
    this.opened = opened;
    this.changed = changed;
    /** @type {Map<number, Handlers>} */
    this.waiting = new Map();
    this.number = 0;
    this.tries = 0;
    this.open();
  }

  open() {
    const address = new URL("/live", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.socket = socket;
    let greeted = false;
    socket.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      if (message.type === "hello") {
        greeted = true;
        this.tries = 0;
        this.changed("open");
        this.opened(message);
        return;
      }
      this.route(message);
    });
    socket.addEventListener("close", () => {
      if (this.socket !== socket) return;
      for (const handlers of this.waiting.values()) handlers.cancelled?.({ type: "cancelled", lost: true });
      this.waiting.clear();
      this.tries += 1;
      // Without a greeting several times over, the server has ended, or was started anew with another address.
      this.changed(!greeted && this.tries > 4 ? "gone" : "waiting");
      setTimeout(() => this.open(), Math.min(LONGEST_WAIT, 250 * 2 ** this.tries));
    });
  }

  /** @param {any} message */
  route(message) {
    const handlers = this.waiting.get(message.id);
    if (!handlers) {
      if (message.type === "error") console.info(message.message);
      return;
    }
    handlers[message.type]?.(message);
    if (["done", "cancelled", "error"].includes(message.type) || handlers.once) this.waiting.delete(message.id);
  }

  /**
   * @param {string} type
   * @param {Record<string, unknown>} given
   * @param {Handlers} handlers
   * @returns {number} the number of the message; 0 where there is no line
   */
  ask(type, given, handlers) {
    if (this.socket?.readyState !== WebSocket.OPEN) return 0;
    const id = ++this.number;
    this.waiting.set(id, handlers);
    this.socket.send(JSON.stringify({ type, id, ...given }));
    return id;
  }

  /** @param {number} id of a job */
  cancel(id) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ type: "cancel", id }));
  }

  /** @param {"pause" | "resume" | "stop"} type @param {number} job @param {(why: string) => void} refused */
  control(type, job, refused = () => {}) {
    this.ask(type, { job }, { error: ({ message }) => refused(message) });
  }

  /** Nobody waits for the answers to this one any more. @param {number} id */
  forget(id) {
    this.waiting.delete(id);
  }
}

/** A word for a shell. @param {string} word */
export function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/'/g, `'"'"'`)}'`;
}

/**
 * A photo given to the server.
 * @param {Blob} file
 * @param {string} name
 * @returns {Promise<any>} the photo, as the server knows it
 */
export async function uploaded(file, name) {
  const answer = await fetch("/photos", { method: "POST", body: file, headers: { "X-Name": encodeURIComponent(name.slice(-120)) } });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? `the server answered ${answer.status}`);
  return told;
}
