import { OncegateError, passing, refusal } from './errors.js';
import { send } from './http.js';
import { MD5, base64, hex, md5 } from './md5.js';

export { OncegateError };

const MiB = 2 ** 20;
const accept = { accept: 'application/json' };

/** Asks a deployment for a one-time URL. */
export async function mint(deployment, order = {}, { key, token, signal } = {}) {
  const headers = { ...accept, 'content-type': 'application/json' };
  if (key) headers['x-api-key'] = key;
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await repeat({ signal }, () =>
    ask({ method: 'POST', url: new URL('/url', deployment).href, headers, body: JSON.stringify(order), signal }));
  return JSON.parse(answer.text);
}

/** Uploads a blob with a one-time URL, and goes on where an earlier call broke off. */
export async function upload(target, blob, options = {}) {
  const { url, headers = {} } = typeof target === 'string' ? { url: target } : target;
  const type = headers['content-type'] ?? options.type ?? blob.type;
  const own = { ...options, headers: type ? { ...headers, 'content-type': type } : headers };
  const parts = options.multipart ?? blob.size > 8 * MiB;
  // S3 makes no object of no parts.
  return parts && blob.size > 0 ? uploadParts(url, blob, own) : uploadWhole(url, blob, own);
}

/** Gives an upload up: its parts are dropped and its URL is revoked. */
export async function giveUp(url, options = {}) {
  await repeat(options, () => ask({ method: 'DELETE', url, headers: accept, signal: options.signal }));
}

async function uploadWhole(url, blob, { headers, signal, onProgress, onRetry }) {
  const total = blob.size;
  const request = {
    method: 'PUT', url, headers: { ...accept, ...headers }, body: blob, signal,
    onSent: (sent) => onProgress?.({ sent, total }),
  };
  // Only what has spent nothing may be sent again.
  const answer = await repeat({ signal, onRetry, when: (error) => error.fate === 'good' }, () => ask(request));
  onProgress?.({ sent: total, total });
  return { size: total, etag: unquoted(answer.header('etag')), parts: 0 };
}

async function uploadParts(url, blob, options) {
  const { headers, onProgress, onRetry } = options;
  const failed = new AbortController(); // stops what else is under way
  const signal = AbortSignal.any([failed.signal, ...(options.signal ? [options.signal] : [])]);
  // Every request about parts may be sent again: none of them spends twice. Only complete spends, so what says nothing
  // of the URL says that it is good, but after complete.
  const once = (request, bare = 'good') => repeat({ signal, onRetry }, () =>
    ask({ ...request, signal, headers: { ...accept, ...request.headers } }).catch((error) => {
      if (error instanceof OncegateError && (!error.reason || error.reason === 'connection')) error.fate = bare;
      throw error;
    }));
  const [plan, listed] = await start(url, headers, once);
  if (blob.size > Math.min(plan.partBytes * plan.maxParts, plan.maxBytes ?? Infinity)) {
    throw new OncegateError('The file is larger than this URL takes.', { reason: 'too-large', fate: 'good' });
  }
  const bytes = partBytes(blob, plan, listed, options.partBytes);
  const count = Math.ceil(blob.size / bytes);
  const etags = Array(count);
  const sent = Array(count).fill(0);
  const tell = (i, n) => {
    sent[i] = n;
    onProgress?.({ sent: sent.reduce((a, b) => a + b, 0), total: blob.size });
  };

  const part = async (i) => {
    const body = blob.slice(i * bytes, (i + 1) * bytes);
    let digest;
    try {
      digest = await md5(body, signal);
    } catch (cause) {
      signal?.throwIfAborted();
      throw new OncegateError('The file changed or went away while it was sent.', { reason: 'file', fate: 'good', cause });
    }
    const there = listed.get(i + 1);
    if (there?.size === body.size && there.etag === hex(digest)) {
      etags[i] = there.etag;
      return tell(i, body.size);
    }
    const answer = await once({
      method: 'PUT', url: `${url}&partNumber=${i + 1}`, body,
      headers: { 'content-md5': base64(digest) }, // S3 checks it
      onSent: (n) => tell(i, n),
    });
    etags[i] = unquoted(answer.header('etag'));
    tell(i, body.size);
  };

  for (let round = 1; ; round++) {
    await inParallel(count, options.parallel ?? 3, part, (i) => etags[i], failed);
    try {
      return await complete(url, `${etagOf(etags)}-${count}`, once, signal, blob.size, count);
    } catch (error) {
      // S3 has other parts than these: of somebody else with the same URL, or an older file.
      if (error.reason !== 'incomplete' || round === 3) throw error;
      const now = await list(url, once);
      listed.clear();
      now.forEach((value, number) => listed.set(number, value));
      etags.fill(undefined);
    }
  }
}

/** Starts the upload, or finds it under way or done, and says which parts are there. */
async function start(url, headers, once) {
  let plan;
  try {
    plan = JSON.parse((await once({ method: 'POST', url: `${url}&uploads`, headers })).text);
  } catch (error) {
    if (error.reason !== 'used') throw error;
    // The answer of complete may have got lost. Then list and complete go on answering.
    const listed = await list(url, once).catch(() => undefined);
    if (!listed) throw error;
    return [{ partBytes: Infinity, maxParts: 1000 }, listed];
  }
  return [plan, await list(url, once)];
}

/** The size of all parts but the last. An upload under way keeps its own, by whichever parts are there: with larger
 *  ones, those of high numbers would be left over. A new one gets what is wanted, or 8 MiB, or more if there would be
 *  too many parts. */
function partBytes(blob, plan, listed, wanted) {
  const least = Math.ceil(blob.size / plan.maxParts / MiB) * MiB;
  const own = [...listed.values()].map(({ size }) => size).filter((size) => size >= Math.max(least, 5 * MiB) && size < blob.size);
  if (own.length > 0) return Math.max(...own); // the last one is smaller
  return Math.min(Math.max(wanted ?? 8 * MiB, 5 * MiB, least), plan.partBytes);
}

async function list(url, once) {
  const parts = new Map();
  for (let after = 0; ; ) {
    const page = JSON.parse((await once({ method: 'GET', url: `${url}&parts${after ? `&after=${after}` : ''}` })).text);
    for (const { number, size, etag } of page.parts) parts.set(number, { size, etag: unquoted(etag) });
    if (!page.next) return parts;
    after = page.next;
  }
}

async function complete(url, etag, once, signal, size, parts) {
  for (;;) {
    const answer = await once({ method: 'POST', url: `${url}&complete&etag=${etag}` }, 'unknown');
    const done = JSON.parse(answer.text);
    if (done.stored) return { size, etag: done.etag, parts, id: done.id };
    await sleep(1000 * (Number(answer.header('retry-after')) || 1), signal);
  }
}

/** What names these parts: the ETag that S3 gives an object of them, without the number of them. In a bucket that
 *  encrypts with a key of KMS the ETags are no MD5s, and the object has another one. */
const etagOf = (etags) => {
  const digest = new MD5();
  for (const etag of etags) {
    const isMD5 = /^[0-9a-f]{32}$/i.test(etag);
    digest.update(isMD5 ? Uint8Array.from(etag.match(/../g), (byte) => parseInt(byte, 16)) : new TextEncoder().encode(etag));
  }
  return hex(digest.digest());
};

const unquoted = (etag) => (etag ?? '').replace(/^"|"$/g, '');

/** Calls work(i) for each i that is not done, so many at a time. The first failure stops all. */
async function inParallel(count, width, work, done, failed) {
  let next = 0;
  let first;
  const run = async () => {
    while (next < count && !first) {
      const i = next++;
      if (done(i)) continue;
      try {
        await work(i);
      } catch (error) {
        first ??= { error };
        failed.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, run));
  if (first) throw first.error;
}

async function ask(request) {
  const answer = await send(request);
  if (answer.status >= 200 && answer.status < 300) return answer;
  throw refusal(answer);
}

/** Repeats what failed in passing, at growing random intervals, and not while there is no network. */
async function repeat({ signal, onRetry, when = () => true, tries = 8 }, work) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof OncegateError) || !passing(error) || !when(error) || attempt === tries) throw error;
      const most = Math.min(500 * 2 ** attempt, 30_000);
      const delay = Math.max(1000 * error.retryAfter, Math.random() * most);
      onRetry?.(error, delay);
      await sleep(delay, signal);
      await online(signal);
    }
  }
}

const sleep = (ms, signal) =>
  new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });

/** Waits until the browser says that there is a network. */
const online = (signal) =>
  globalThis.navigator?.onLine === false
    ? new Promise((resolve, reject) => {
        addEventListener('online', resolve, { once: true, signal });
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      })
    : undefined;
