// The artifact gets random viewer-request events. Each must have one answer, and only a
// URL that is registered and not spent may pass. ONCEGATE_EVENTS is how many events there
// are, ONCEGATE_SEED chooses them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { S3, context, event, load } from './harness.mjs';

const events = Number(process.env.ONCEGATE_EVENTS || 3000);
const seed = Number(process.env.ONCEGATE_SEED || 1);

// random is mulberry32, which is small and gives the same numbers everywhere.
function random(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const next = random(seed);
const below = (n) => Math.floor(next() * n);
const pick = (list) => list[below(list.length)];
const chance = (p) => next() < p;

const uuid = '0123abcd-4567-4890-8abc-def012345678';
const strings = [
  '', ' ', '/', '//', '..', '%', '%00', '\0', '\n', '\r\n', '\ud800', '\u2028', '\u202e', 'ſ', '😀', '{}', '[]', 'null', '"', '\\', '__proto__', 'constructor', 'toString', 'hasOwnProperty',
  '-1', '0', '00', '1e9', '5368709120', '5368709121', '18446744073709551616', 'NaN', 'PUT', 'put', 'GET', 'HEAD', 'OPTIONS', 'POST', 'viewer-request', 'origin-request', '/url', '/uploads/', `/uploads/${uuid}`,
  'chunked', 'aws-chunked', '*', 'application/json', 'text/plain', 'host', 'x-amz-acl', 'X-Amz-Signature=', '&', '=', ';', 'a'.repeat(300), 'a'.repeat(9000), '%'.repeat(500),
];
const names = [
  'host', 'content-length', 'transfer-encoding', 'authorization', 'content-type', 'content-md5', 'content-encoding', 'content-disposition', 'x-amz-copy-source', 'x-amz-content-sha256', 'x-amz-decoded-content-length', 'x-amz-acl', 'x-amz-meta-a',
  'x-amz-security-token', 'origin', 'accept', 'if-none-match', 'expect', 'range', 'cache-control', 'x-api-key', 'content-range', 'upload-offset', 'user-agent', 'cookie', '__proto__', 'constructor', 'toString', 'Content-Length', 'HOST', '', 'x'.repeat(200),
];
// The headers of a viewer that S3 may get, and CloudFront's own.
const forwarded = [
  'cache-control', 'content-disposition', 'content-encoding', 'content-language', 'content-md5', 'content-type', 'expires', 'origin',
  'cdn-loop', 'content-length', 'host', 'transfer-encoding', 'via',
];
const bytes = () => String.fromCharCode(...Array.from({ length: below(40) }, () => below(chance(0.9) ? 128 : 65536)));
const text = () => (chance(0.7) ? pick(strings) : bytes());

function anything(depth = 3) {
  switch (below(depth > 0 ? 9 : 7)) {
    case 0: return null;
    case 1: return chance(0.5);
    case 2: return pick([0, -1, 1.5, 1e308, 2 ** 53, NaN]);
    case 7: return Array.from({ length: below(4) }, () => anything(depth - 1));
    case 8: return Object.fromEntries(Array.from({ length: below(4) }, () => [chance(0.5) ? pick(names) : text(), anything(depth - 1)]));
    default: return text();
  }
}

// twist changes a string in one place.
function twist(s) {
  const at = below(s.length + 1);
  switch (below(8)) {
    case 0: return s.slice(0, at) + text() + s.slice(at);
    case 1: return s.slice(0, at) + s.slice(at + 1);
    case 2: return s.slice(0, at) + (s[at] ?? 'x').toUpperCase() + s.slice(at + 1);
    case 3: return s.slice(0, at) + encodeURIComponent(s[at]?.isWellFormed() ? s[at] : '/') + s.slice(at + 1);
    case 4: return s.slice(at);
    case 5: return s + s;
    case 6: return s.split('&').reverse().join('&');
    default: return s.replace(/[0-9a-f]/, () => below(16).toString(16));
  }
}

// minted are the parameters of a minted URL, in its order.
const minted = ['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Date', 'X-Amz-Expires', 'X-Amz-SignedHeaders', 'x-id', 'X-Amz-Signature'];

// own sets a property as JSON.parse does, "__proto__" included.
const own = (o, key, value) => Object.defineProperty(o, key, { value, enumerable: true, writable: true, configurable: true });

// damage breaks one place of the tree: it changes a value, removes it, or gives it another
// name.
function damage(tree) {
  const places = [];
  const walk = (node) => {
    for (const key of Object.keys(node)) {
      places.push([node, key]);
      if (node[key] && typeof node[key] === 'object') walk(node[key]);
    }
  };
  walk(tree);
  if (!places.length) return;
  const [node, key] = pick(places);
  switch (below(6)) {
    case 0: delete node[key]; break;
    case 1: node[key] = [node[key]]; break;
    case 2: if (typeof node[key] === 'string') node[key] = twist(node[key]); break;
    case 3: own(node, pick([text(), key.toUpperCase(), key.toLowerCase()]), chance(0.5) ? node[key] : anything()); break;
    default: own(node, key, anything());
  }
}

test(`${events} random events, seed ${seed}`, async (t) => {
  const s3 = await new S3().start();
  const functions = await load(s3.url);
  const secrets = ['a-secret-that-must-not-appear', 'a-session-token'];
  const said = [];
  const { write } = process.stdout;
  process.stdout.write = function (chunk, ...rest) {
    const line = String(chunk);
    if (!line.startsWith('{"timestamp"')) return write.call(process.stdout, chunk, ...rest);
    if (line.includes('"panic') || line.includes('panic:') || secrets.some((s) => line.includes(s))) said.push(line);
    return true;
  };
  const { error } = console;
  console.error = (...args) => said.push(args.map(String).join(' '));

  const pool = []; // URLs that were minted: { uri, querystring }
  const passed = new Set(); // fingerprints
  // A query that passed was minted, however it is spelt. The fingerprint is taken of the
  // minted spelling.
  const spelling = (querystring) => {
    const given = new Map(querystring.split('&').filter(Boolean).map((member) => {
      const [name, ...value] = member.split('=');
      return [decodeURIComponent(name), decodeURIComponent(value.join('='))];
    }));
    return minted.map((name) => `${name}=${encodeURIComponent(given.get(name))}`).join('&');
  };
  const id = ({ uri, querystring }) => createHash('sha256').update(`${uri}?${spelling(querystring)}`).digest('hex');
  const registered = (r) => s3.has(`signatures/valid/${id(r)}`);
  const counts = { passed: 0, refused: 0, minted: 0 };

  const make = () => {
    const known = pool.length && chance(0.5) ? pick(pool) : { uri: `/uploads/${uuid}`, querystring: pool[0]?.querystring ?? '' };
    const e = event('PUT', known.uri, {
      querystring: known.querystring,
      headers: { 'content-length': [{ key: 'Content-Length', value: '5' }] },
    });
    const request = e.Records[0].cf.request;
    if (chance(0.1)) return anything();
    if (chance(0.2)) Object.assign(request, { method: pick(['GET', 'POST', 'HEAD']), uri: '/url', querystring: chance(0.7) ? '' : `${pick(['expires', 'maxBytes', 'count', 'name', 'x'])}=${text()}` });
    while (chance(0.4)) own(request.headers, pick(names), Array.from({ length: 1 + below(2) }, () => ({ key: text(), value: text() })));
    if (chance(0.4)) request[pick(['uri', 'querystring', 'method'])] = text();
    if (chance(0.4)) { const field = pick(['uri', 'querystring']); request[field] = twist(request[field]); }
    if (chance(0.1)) request.body = { inputTruncated: chance(0.2), action: 'read-only', encoding: pick(['base64', 'text', text()]), data: text() };
    while (chance(0.3)) damage(e);
    return e;
  };

  const judge = (name, before, result) => {
    assert.ok(result && typeof result === 'object' && !Array.isArray(result), 'no answer');
    if (result.status !== undefined) {
      assert.match(result.status, /^[2-5]\d\d$/);
      const all = JSON.stringify(result);
      for (const secret of secrets) assert.ok(!all.includes(secret), 'the answer holds a secret');
      if (name === 'mint' && result.status === '200' && before.Records[0].cf.request.method !== 'HEAD') {
        counts.minted++;
        for (const [, uri, querystring] of result.body.replaceAll('\\u0026', '&').matchAll(/(\/uploads\/[0-9a-f-]{36})\?([^\s"]+)/g)) {
          assert.ok(registered({ uri, querystring }), 'a URL was handed out that is not registered');
          pool.push({ uri, querystring });
        }
        return;
      }
      counts.refused++;
      assert.ok(result.status === '204' || result.status === '200' || result.headers['x-oncegate-reason'], 'a refusal without a reason');
      assert.ok(!/X-Amz-Signature=/.test(all), 'a refusal with a signature');
      return;
    }
    // It passes. CloudFront sends on what it handed in, except for the query.
    counts.passed++;
    const was = before.Records[0].cf.request;
    assert.equal(name, 'gate', 'mint has passed a request on');
    assert.equal(was.method, 'PUT');
    assert.deepEqual({ ...result, querystring: '', headers: {} }, { ...was, querystring: '', headers: {} });
    assert.ok(registered(was), 'passed, and the URL is not registered');
    assert.ok(s3.has(`signatures/expired/${id(was)}`), 'passed, and nothing was claimed');
    assert.ok(!passed.has(id(was)), 'passed for the second time');
    passed.add(id(was));
    assert.match(result.querystring, /^X-Amz-Algorithm=.*&X-Amz-Expires=60&.*&X-Amz-SignedHeaders=host&.*X-Amz-Signature=[0-9a-f]{64}$/);
    assert.deepEqual(Object.keys(result.headers).filter((h) => !forwarded.includes(h)), []);
  };

  try {
    for (let i = 0; i < events; i++) {
      if (i % 100 === 0) {
        // There are always some good URLs, and never many that have expired.
        pool.splice(0, pool.length - 20);
        if (s3.objects.size > 2000) for (const key of s3.objects.keys()) if (!pool.some((u) => key.includes(id(u)))) s3.objects.delete(key);
        s3.requests.length = 0;
      }
      const name = chance(0.8) && pool.length ? 'gate' : 'mint';
      const given = JSON.parse(JSON.stringify(i % 100 === 0 ? event('GET', '/url') : make())); // as Lambda gets it
      s3.behave = chance(0.002) ? (request, response) => { response.writeHead(503).end(); return true; } : null;
      const before = structuredClone(given);
      let timer;
      const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('no answer within 10 s')), 10_000); });
      try {
        const result = await Promise.race([functions[i % 100 === 0 ? 'mint' : name](given, context()), late]);
        judge(i % 100 === 0 ? 'mint' : name, before, result);
        assert.deepEqual(said, []);
      } catch (e) {
        e.message = `event ${i} of seed ${seed}: ${e.message}\n${name} ${JSON.stringify(before)?.slice(0, 4000)}`;
        throw e;
      } finally {
        clearTimeout(timer);
      }
    }
  } finally {
    process.stdout.write = write;
    console.error = error;
    await s3.stop();
  }
  assert.ok(counts.passed > 0 && counts.refused > 0 && counts.minted > 0, `nothing of one kind: ${JSON.stringify(counts)}`);
  t.diagnostic(`prove: ${events} events fuzzed, seed ${seed} (${counts.passed} passed, ${counts.minted} minted)`);
});
