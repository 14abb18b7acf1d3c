import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { OncegateError, giveUp, mint, upload as send } from '../src/index.js';
import { MD5, hex } from '../src/md5.js';
import { MiB, deployment } from './deployment.mjs';

const table = JSON.parse(readFileSync(new URL('../../cases.json', import.meta.url), 'utf8'));
const content = randomBytes(11 * MiB); // parts of 5, 5 and 1 MiB
const upload = (target, blob, options) => send(target, blob, { partBytes: 5 * MiB, ...options });
const file = new Blob([content], { type: 'text/plain' });

/** Faults by kind: the nth request of it meets the nth of the list. */
const faults = (table) => (kind, n) => table[kind]?.[n - 1];

test('MD5 is that of RFC 1321, at every length around a block and in any pieces', () => {
  for (let n = 0; n < 200; n++) {
    const bytes = randomBytes(n);
    const cut = Math.floor(n / 3);
    const got = hex(new MD5().update(bytes.subarray(0, cut)).update(bytes.subarray(cut)).digest());
    assert.equal(got, createHash('md5').update(bytes).digest('hex'), `${n} bytes`);
  }
});

/** A case of clients/cases.json, which the other clients keep to as well. */
async function play(t, { size, multipart, faults: met = {}, runs, requests, times = {} }) {
  const d = await deployment(t, { fault: faults(met) });
  for (const run of runs) {
    const n = run.size ?? size ?? table.size;
    const bytes = run.other ? Buffer.alloc(n, 'o') : Buffer.alloc(n, content);
    const retries = [];
    const ended = await upload(d.url, new Blob([bytes]), { partBytes: table.partBytes, multipart, parallel: 1, onRetry: (e) => retries.push(e) })
      .catch((error) => error);
    if (run.fate) {
      assert.ok(ended instanceof OncegateError, `${ended}`);
      assert.equal(ended.reason, run.reason);
      assert.ok(run.fate.includes(ended.fate), ended.fate);
    } else {
      assert.equal(ended.parts, run.parts, `${ended}`);
      assert.ok(bytes.equals(d.object));
    }
    if (run.retries) assert.equal(retries.length, run.retries);
  }
  if (requests) assert.deepEqual(d.seen, requests);
  for (const [kind, n] of Object.entries(times)) assert.equal(d.seen.filter((k) => k === kind).length, n, `${kind}: ${d.seen}`);
}

for (const example of table.cases) test(example.name, (t) => play(t, example));

// Each step both ways: nothing was done and no answer came, all was done and no answer came.
for (const kind of table.repeated.requests) {
  for (const fault of table.repeated.faults) {
    test(`${kind}: ${JSON.stringify(fault)}, and again`, (t) =>
      play(t, { faults: { [kind]: [fault] }, runs: [{ parts: 3, retries: 1 }], times: { [kind]: 2 } }));
  }
}

test('a small file is one PUT, with the type that the URL names, or else its own', async (t) => {
  for (const [target, want] of [[{ headers: { 'content-type': 'image/png' } }, 'image/png'], [{}, 'text/plain']]) {
    const d = await deployment(t);
    const progress = [];
    const stored = await upload({ url: d.url, ...target }, new Blob(['hello'], { type: 'text/plain' }), { onProgress: (p) => progress.push(p) });
    assert.deepEqual([d.object.toString(), d.types, d.seen], ['hello', [want], ['PUT']]);
    assert.deepEqual([stored.size, stored.parts, stored.etag], [5, 0, createHash('md5').update('hello').digest('hex')]);
    assert.deepEqual(progress.at(-1), { sent: 5, total: 5 });
  }
});

for (const [form, etag] of [['hex', (bytes) => createHash('md5').update('encrypted').update(bytes).digest('hex')],
  ['text', (bytes) => `E-${createHash('md5').update(bytes).digest('base64url')}`]]) {
  test(`a bucket with a key of KMS, whose ETags are no MD5s: ${form}`, async (t) => {
    const d = await deployment(t, { etag, fault: faults({ 'POST complete': ['lose'] }) });
    const stored = await upload(d.url, file);
    assert.ok(content.equals(d.object));
    assert.equal(stored.parts, 3);
  });
}

test('a large file goes in parts, and complete names the object', async (t) => {
  const d = await deployment(t);
  const progress = [];
  const stored = await upload(d.url, file, { onProgress: ({ sent }) => progress.push(sent) });
  assert.ok(content.equals(d.object));
  assert.deepEqual(d.types, ['text/plain']);
  assert.equal(stored.parts, 3);
  assert.match(stored.etag, /^[0-9a-f]{32}-3$/);
  assert.equal(progress.at(-1), content.length);
});

test('it goes on with the parts that are there, and replaces those that are not its own', async (t) => {
  const d = await deployment(t, { fault: faults({ 'PUT 3': [{ status: 403, reason: 'method' }] }) });
  await assert.rejects(upload(d.url, file, { parallel: 1 }), { reason: 'method' });
  d.parts.set(1, randomBytes(5 * MiB)); // somebody else's, of the same size
  await upload(d.url, file);
  assert.ok(content.equals(d.object));
  assert.equal(d.seen.filter((kind) => kind === 'PUT 2').length, 1, 'part 2 was there');
});

test('it keeps the size of the parts that are there, also without the first one', async (t) => {
  const d = await deployment(t);
  for (const n of [2, 3]) d.parts.set(n, content.subarray((n - 1) * 5 * MiB, n * 5 * MiB));
  await upload(d.url, file, { partBytes: 8 * MiB });
  assert.ok(content.equals(d.object));
  assert.deepEqual(d.seen.filter((kind) => kind.startsWith('PUT')), ['PUT 1']);
});

test('somebody else replaces a part just before complete: it is sent again', async (t) => {
  const d = await deployment(t, {
    fault: (kind, n) => void (kind === 'POST complete' && n === 1 && d.parts.set(2, randomBytes(5 * MiB))),
  });
  await upload(d.url, file);
  assert.ok(content.equals(d.object));
});

test('a page that is loaded again after complete, whose answer got lost, gets the same answer', async (t) => {
  const d = await deployment(t);
  const first = await upload(d.url, file);
  assert.deepEqual(await upload(d.url, file), first);
  await assert.rejects(upload(d.url, new Blob([randomBytes(11 * MiB)])), { reason: 'used', fate: 'useless' });
});

test('the signal stops it and leaves the parts, and giveUp drops them', async (t) => {
  const stop = new AbortController();
  const d = await deployment(t, { fault: (kind) => void (kind === 'PUT 2' && stop.abort(new Error('enough'))) });
  await assert.rejects(upload(d.url, file, { parallel: 1, signal: stop.signal }), /enough/);
  assert.deepEqual([...d.parts.keys()][0], 1);
  await giveUp(d.url);
  assert.deepEqual([d.spentBy, d.parts.size], ['revoked', 0]);
});

test('parts get larger where there would be too many, and a file that cannot fit is refused first', async (t) => {
  const d = await deployment(t, { maxParts: 2 });
  await upload(d.url, file);
  assert.deepEqual([...d.parts.values()].map((part) => part.length / MiB).sort(), [5, 6]);
  const small = await deployment(t, { maxParts: 2, partBytes: 5 * MiB });
  await assert.rejects(upload(small.url, file), { reason: 'too-large', fate: 'good' });
  assert.ok(!small.seen.some((kind) => kind.startsWith('PUT')));
});

test('a file that cannot be read any more is said to have changed', async (t) => {
  const d = await deployment(t);
  const gone = { size: 9 * MiB, type: '', slice: () => ({ size: 8 * MiB, slice: () => ({ arrayBuffer: () => Promise.reject(new Error('NotReadable')) }) }) };
  await assert.rejects(upload(d.url, gone), { reason: 'file', fate: 'good' });
});

test('mint asks by POST, with the credential that it is given', async (t) => {
  const asked = [];
  const { createServer } = await import('node:http');
  const server = createServer(async (request, response) => {
    asked.push([request.method, request.url, request.headers['x-api-key'], request.headers.authorization, await new Response(request).text()]);
    response.end('{"url":"https://d.example/uploads/x?y"}');
  }).listen(0, '127.0.0.1');
  t.after(() => server.close() && server.closeAllConnections());
  await new Promise((resolve) => server.on('listening', resolve));
  const base = `http://127.0.0.1:${server.address().port}`;
  assert.equal((await mint(base, { maxBytes: 5 }, { key: 'k' })).url, 'https://d.example/uploads/x?y');
  await mint(base, undefined, { token: 't' });
  assert.deepEqual(asked, [['POST', '/url', 'k', undefined, '{"maxBytes":5}'], ['POST', '/url', undefined, 'Bearer t', '{}']]);
});
