// What this device remembers of a link: URLs that were made for files and are not spent
// yet, so that a file that is chosen again goes on, and what was stored. It is kept under a
// digest of the link, so that it does not hold the link itself. The URLs in it are good for
// one upload each and end by themselves; what has ended is dropped when it is read.

const version = 1;
const most = 200;

/** Makes the memory of a link. Where the browser allows none, nothing is remembered. */
export async function openStore(secret) {
  // By plain http, which only the local edge speaks, there is no digest.
  if (!crypto.subtle) return { read: () => [], put() {}, drop() {}, clear() {} };
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(secret)));
  const key = `oncegate ${[...digest.slice(0, 16)].map((b) => b.toString(16).padStart(2, '0')).join('')}`;

  const read = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(key));
      if (kept?.version !== version) return [];
      return kept.files.filter((file) => file.time || Date.parse(file.expires) > Date.now());
    } catch {
      return [];
    }
  };
  const write = (files) => {
    try {
      if (files.length) localStorage.setItem(key, JSON.stringify({ version, files: files.slice(-most) }));
      else localStorage.removeItem(key);
    } catch {} // no room, or not allowed
  };
  // Read anew each time: the same link may be open in another tab.
  return {
    read,
    put: (file) => write([...read().filter((other) => !same(file, other)), file]),
    drop: (file) => write(read().filter((other) => !same(file, other))),
    clear: () => write(read().filter((file) => !file.time)),
  };
}

/** Reports whether two are the same file, as far as a page can tell. */
export const same = (a, b) => a.name === b.name && a.size === b.size && a.modified === b.modified;
