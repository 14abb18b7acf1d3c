// How fast bytes go, over the last seconds.

const window = 8000; // ms
const part = 5 * 2 ** 20; // what is there at once was sent on an earlier visit

export class Pace {
  #moved = []; // { at, bytes }
  #last = new Map(); // item -> sent

  note(item) {
    const bytes = item.sent - (this.#last.get(item) ?? 0);
    this.#last.set(item, item.sent);
    if (bytes > 0 && bytes < part) this.#moved.push({ at: performance.now(), bytes });
  }

  /** Bytes per second, or 0 when nothing is known. */
  get rate() {
    const now = performance.now();
    this.#moved = this.#moved.filter(({ at }) => now - at < window);
    if (this.#moved.length < 3) return 0;
    const since = now - this.#moved[0].at;
    return since < 500 ? 0 : (1000 * this.#moved.reduce((sum, { bytes }) => sum + bytes, 0)) / since;
  }
}
