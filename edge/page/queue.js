// The files of a visit: what becomes of each, in order, a few at a time.
import { giveUp, upload } from '../../clients/js/src/index.js';
import { urlFor } from './link.js';
import { same } from './store.js';

const atOnce = 2; // files; each sends a few parts at a time
const hashed = 64 * 2 ** 20; // what a page can hash without holding a phone's memory up

/**
 * One file. state is waiting, starting, sending, finishing, stored, failed, stopped (it can
 * go on), or again: begun on an earlier visit, and to be chosen again.
 */
class Item {
  state = 'waiting';
  sent = 0;
  constructor(what) { Object.assign(this, what); }
  get active() { return ['starting', 'sending', 'finishing'].includes(this.state); }
  get open() { return this.active || this.state === 'waiting'; }
}

/** Says what became of a file that was not stored: a row of the texts, and what can be done. */
export function explain(error, { token, inParts }) {
  const { reason, status } = error;
  const again = Boolean(token);
  switch (reason) {
    case 'too-large': return { key: 'tooLargeHere' };
    case 'too-small': return { key: 'empty' };
    case 'type': return { key: 'typeHere' };
    case 'invitation-full': return { key: 'full', retry: true };
    case 'invitation-unknown': return { key: 'over', gone: 'goneUnknown' };
    case 'invitation-revoked': return { key: 'over', gone: 'goneRevoked' };
    case 'invitation-over': return { key: 'over', gone: 'goneOver' };
    case 'used': return again ? { key: 'maybe', retry: true, fresh: true } : { key: 'used', gone: 'goneUsed' };
    case 'revoked': return { key: 'revoked', retry: again, fresh: true, gone: again ? undefined : 'goneRevoked' };
    case 'expired': return { key: 'expired', retry: again, fresh: true, gone: again ? undefined : 'goneOver' };
    case 'unknown': return { key: 'refused', values: { reason }, retry: again, fresh: true, gone: again ? undefined : 'goneUnknown' };
    case 'file': return { key: 'file', rechoose: true };
  }
  // In parts nothing is spent until all is there. A whole PUT that broke off may have been stored.
  if (!inParts && error.fate !== 'good') return { key: 'maybe', retry: again, fresh: true };
  if (reason === 'connection') return { key: 'connection', retry: true };
  if (status === 429 || status >= 500) return { key: 'busy', retry: true };
  return { key: 'refused', values: { reason: reason || status || error.name }, retry: true };
}

/** Reports whether a type fits a list such as "image/*,application/pdf". */
export const fits = (type, list) => list.split(',').some((pattern) => {
  const [kind, rest] = pattern.trim().toLowerCase().split('/');
  const [k, r] = type.toLowerCase().split(';')[0].split('/');
  return kind === k && (rest === '*' || rest === r);
});

export class Queue {
  items = [];
  #link;
  #limits;
  #store;
  #tell;
  #parts;
  #freeing = new Set(); // places that are about to be free again

  /** tell is called with an item whenever its state has changed, or with its progress. */
  constructor({ link, limits, store, parts, tell }) {
    this.#link = link;
    this.#limits = limits;
    this.#store = store;
    this.#parts = parts;
    this.#tell = tell;
    for (const kept of store.read()) this.items.push(new Item({ ...kept, state: kept.time ? 'stored' : 'again', sent: kept.time ? kept.size : 0 }));
  }

  get active() { return this.items.some((item) => item.open); }

  /** Takes files in, and returns what is to be said of those that were left out. */
  add(files, remark) {
    const left = [];
    for (const file of files) {
      const what = { file, name: file.name, size: file.size, modified: file.lastModified, remark, type: file.type || 'application/octet-stream' };
      const known = this.items.find((item) => same(item, what));
      if (known && (known.state === 'again' || known.rechoose)) {
        Object.assign(known, what, { rechoose: false });
        this.#wait(known);
      } else if (known && known.state !== 'failed') {
        left.push({ key: 'twice', values: { name: file.name } });
      } else if (this.#limits.one && this.items.some((item) => item.open || item.state === 'stored')) {
        left.push({ key: 'onlyOne', values: { name: file.name } });
      } else {
        // Of a link for one file, whatever else was tried before has made room.
        if (this.#limits.one) for (const old of this.items) this.remove(old);
        else this.items = this.items.filter((item) => item !== known);
        const item = new Item(what);
        this.items.push(item);
        item.problem = this.#check(what);
        if (item.problem) this.#become(item, 'failed');
        else this.#wait(item);
      }
    }
    this.#next();
    return left;
  }

  retry(item) {
    if (item.problem?.fresh) this.#forget(item);
    this.#wait(item);
    this.#next();
  }

  /** Ends a file. Of an invitation its URL is given up, so that its place is free again. */
  cancel(item) {
    item.cancelled = true;
    item.controller?.abort();
    if (this.#link.token || item.state === 'waiting') {
      if (this.#link.token && item.url && item.state !== 'stored') this.#giveUp(item);
      this.remove(item);
    } else if (!item.active) {
      this.remove(item);
    }
    this.#next();
  }

  #giveUp(item) {
    const freed = giveUp(item.url).then(() => this.#tell(item), () => {}) // what fails ends by itself
      .finally(() => this.#freeing.delete(freed));
    this.#freeing.add(freed);
  }

  remove(item) {
    if (item.state !== 'stored') this.#store.drop(item);
    this.items = this.items.filter((other) => other !== item);
    this.#tell(item);
  }

  /** Takes the list of what was stored off the page and off the device. */
  forgetStored() {
    this.#store.clear();
    this.items = this.items.filter((item) => item.state !== 'stored');
  }

  /** The connection is back: goes on with what it has ended. */
  resume() {
    for (const item of this.items) if (item.state === 'failed' && item.problem?.key === 'connection') this.#wait(item);
    this.#next();
  }

  #check({ size, type }) {
    const { minBytes = 1, maxBytes = Infinity, type: types, one } = this.#limits;
    if (one) return undefined; // its limits are known to the server alone
    if (size > maxBytes) return { key: 'tooLarge', size: maxBytes };
    if (size === 0 && minBytes > 0) return { key: 'empty' };
    if (size < minBytes) return { key: 'tooSmall', size: minBytes };
    if (types && !fits(type, types)) return { key: 'type', types };
    return undefined;
  }

  #become(item, state) {
    item.state = state;
    this.#tell(item);
  }

  #wait(item) {
    Object.assign(item, { problem: undefined, cancelled: false, sent: 0 });
    this.#become(item, 'waiting');
  }

  #next() {
    const free = atOnce - this.items.filter((item) => item.active).length;
    for (const item of this.items.filter(({ state }) => state === 'waiting').slice(0, Math.max(0, free))) this.#send(item);
  }

  #forget(item) {
    this.#store.drop(item);
    item.url = item.id = item.expires = undefined;
  }

  #keep(item) {
    const { name, size, modified, type, id, expires, time, sha256 } = item;
    if (!this.#parts && !time) return; // one PUT cannot go on
    // The link's own URL is in the link. One that has been spent is of no use.
    const url = this.#link.token && !time ? item.url : undefined;
    this.#store.put({ name, size, modified, type, id, expires, time, sha256, url });
  }

  async #send(item) {
    item.controller = new AbortController();
    const { signal } = item.controller;
    this.#become(item, 'starting');
    try {
      const stored = await this.#upload(item, signal);
      Object.assign(item, { sent: item.size, time: new Date().toISOString(), id: stored.id ?? item.id });
      this.#keep(item);
      this.#become(item, 'stored');
      await this.#hash(item);
    } catch (error) {
      if (item.cancelled && item.inParts !== false) {
        this.#become(item, 'stopped');
      } else {
        item.problem = explain(error, { token: this.#link.token, inParts: item.inParts || !item.url });
        item.rechoose = Boolean(item.problem.rechoose);
        this.#become(item, 'failed');
      }
    } finally {
      this.#next();
    }
  }

  async #upload(item, signal) {
    const kept = item.url && this.#link.token;
    try {
      if (!item.url) {
        await Promise.all(this.#freeing);
        // Not ended by the signal: a URL whose answer nobody reads would keep its place taken.
        Object.assign(item, await urlFor(this.#link, item));
        if (item.cancelled && this.#link.token) this.#giveUp(item);
        signal.throwIfAborted();
        this.#keep(item);
      }
      return await this.#parted(item, signal);
    } catch (error) {
      // The URL of an earlier visit has run out, and the invitation has not.
      if (!kept || error.reason !== 'expired') throw error;
      this.#forget(item);
      return this.#upload(item, signal);
    }
  }

  async #parted(item, signal) {
    item.inParts = this.#parts && item.size > 0;
    const options = {
      type: item.type, multipart: item.inParts, signal,
      onProgress: ({ sent }) => {
        item.sent = sent;
        const state = sent < item.size ? 'sending' : 'finishing';
        if (item.state !== state) this.#become(item, state);
        else this.#tell(item, true);
      },
    };
    try {
      return await upload(item.url, item.file, options);
    } catch (error) {
      if (error.reason !== 'no-multipart') throw error;
      item.inParts = false; // of a URL for one SHA-256
      return upload(item.url, item.file, { ...options, multipart: false });
    }
  }

  async #hash(item) {
    if (item.size > hashed) return;
    try {
      const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await item.file.arrayBuffer()));
      item.sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      this.#keep(item);
      this.#tell(item);
    } catch {} // the file has gone; it is stored all the same
  }
}
