// Tests of the stub in the Node that runs this file, against a Lambda that does what a test
// tells it. The Go tests cover signatures, permissions and the regional functions.
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, mock, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { context, event, reasonOf } from './harness.mjs';

const put = () => event('PUT', '/uploads/x', { querystring: 'a=b', headers: { 'x-amz-acl': [{ key: 'x-amz-acl', value: 'private' }] } });
const forward = { forward: { querystring: 'signed=1', drop: ['x-amz-acl'], set: { 'content-type': [{ value: 'image/png' }] } } };
const answer = (body, status = 200, headers = {}) => (response) => response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
const reset = (response) => response.socket.resetAndDestroy();
const long = (length) => { const text = JSON.stringify({ ...forward, more: '' }); return text.replace('""}', `"${'x'.repeat(length - text.length)}"}`); };

describe('the stub', () => {
  let server, stub, dir, errors;
  let calls, script;
  const { write } = process.stdout;
  before(async () => {
    server = http.createServer((request, response) => {
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const payload = Buffer.concat(chunks);
        calls.push({ path: request.url, headers: request.headers, payload, ...JSON.parse(payload) });
        script.shift()(response);
      });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    dir = mkdtempSync(path.join(tmpdir(), 'oncegate-stub-'));
    copyFileSync(fileURLToPath(new URL('regional.mjs', import.meta.url)), path.join(dir, 'index.mjs'));
    writeFileSync(path.join(dir, 'settings.json'), JSON.stringify({ region: 'eu-west-1', functions: { mint: 'o-regional-mint', gate: 'o-regional-gate' } }));
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'a-secret', AWS_SESSION_TOKEN: 'a-token',
      AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${server.address().port}`,
    });
    stub = await import(path.join(dir, 'index.mjs'));
    process.stdout.write = function (chunk, ...rest) {
      const line = String(chunk);
      if (!line.startsWith('{"timestamp"')) return write.call(process.stdout, chunk, ...rest);
      errors.push(line);
      return true;
    };
  });
  beforeEach(() => { [calls, script, errors] = [[], [], []]; });
  after(async () => {
    process.stdout.write = write;
    rmSync(dir, { recursive: true });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('does as the regional function says, and nothing else', async () => {
    script = [answer(forward)];
    const e = put();
    const before = structuredClone(e.Records[0].cf.request);
    const request = await stub.gate(e, context());
    const { 'x-amz-acl': acl, ...kept } = before.headers;
    assert.ok(acl);
    assert.deepEqual(request, { ...before, querystring: 'signed=1', headers: { ...kept, 'content-type': [{ value: 'image/png' }] } });
    assert.equal(calls[0].path, '/2015-03-31/functions/o-regional-gate/invocations');
    assert.match(calls[0].nonce, /^[0-9a-f]{32}$/);
    assert.equal(calls[0].repeated, false);
    assert.ok(calls[0].remainingMs > 4000 && calls[0].remainingMs <= 4600, calls[0].remainingMs);
    assert.deepEqual(calls[0].event, put());

    script = [answer({ response: { status: '200', body: 'a URL' } })];
    assert.deepEqual(await stub.mint(event('GET', '/url'), context()), { status: '200', body: 'a URL' });
    assert.equal(calls[1].path, '/2015-03-31/functions/o-regional-mint/invocations');
    assert.notEqual(calls[1].nonce, calls[0].nonce);
    assert.match(calls[1].headers.authorization, /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/lambda\/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}$/);
    assert.equal(calls[1].headers['x-amz-security-token'], 'a-token');
  });

  // The signing key is for one day. With yesterday's key Lambda would refuse every request
  // after midnight UTC.
  test('signs with the key of the day, and of no other day', async () => {
    mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-03-04T23:59:59Z') });
    try {
      for (const day of ['20260304', '20260305', '20260304']) {
        mock.timers.setTime(Date.parse(`${day.replace(/(....)(..)(..)/, '$1-$2-$3')}T12:00:00Z`));
        script = [answer(forward)];
        calls.length = 0;
        await stub.gate(put(), context());
        const { path, headers, payload } = calls[0];
        const sha256 = (text) => createHash('sha256').update(text).digest('hex');
        const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
        const scope = `${day}/eu-west-1/lambda/aws4_request`;
        const names = 'host;x-amz-date;x-amz-security-token';
        const lines = names.split(';').map((name) => `${name}:${headers[name]}\n`).join('');
        const text = `AWS4-HMAC-SHA256\n${day}T120000Z\n${scope}\n${sha256(`POST\n${path}\n\n${lines}\n${names}\n${sha256(payload)}`)}`;
        const key = scope.split('/').reduce(hmac, 'AWS4a-secret');
        assert.ok(headers.authorization.endsWith(`Credential=AKIDEXAMPLE/${scope}, SignedHeaders=${names}, Signature=${hmac(key, text).toString('hex')}`), day);
      }
    } finally {
      mock.timers.reset();
    }
  });

  // It may have run, and nothing says that it had been closed before.
  test('a new connection that dies is not tried again', async () => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 3_600_000 }); // no connection is that young
    try {
      script = [reset, answer(forward)];
      assert.equal(reasonOf(await stub.gate(put(), context())), 'claim-unknown');
      assert.equal(calls.length, 1);
    } finally {
      mock.timers.reset();
    }
  });

  // The second try has the nonce of the first one and says that it is a repeat.
  for (const [name, first] of Object.entries({
    throttled: answer({}, 429), 'a server error': answer({}, 502), 'a dead connection': reset,
  })) {
    test(`${name}, then an answer`, async () => {
      script = [answer({ response: { status: '200' } })]; // so that there is a connection to be reused
      await stub.mint(event('GET', '/url'), context());
      calls.length = 0;
      script = [first, answer(forward)];
      assert.equal((await stub.gate(put(), context())).querystring, 'signed=1');
      assert.equal(calls.length, 2);
      assert.equal(calls[0].nonce, calls[1].nonce);
      assert.deepEqual(calls.map((c) => c.repeated), [false, true]);
    });
  }

  // Without a clear answer nothing passes. Which refusal it is depends on whether the
  // function may have run.
  for (const [name, steps, gateReason] of [
    ['throttled twice', [answer({}, 429), answer({}, 429)], 'index-unavailable'],
    ['throttled, then a server error', [answer({}, 429), answer({}, 500)], 'claim-unknown'],
    ['a server error, then throttled', [answer({}, 500), answer({}, 429)], 'claim-unknown'],
    ['two server errors', [answer({}, 503), answer({}, 503)], 'claim-unknown'],
    ['no permission', [answer({}, 403, { 'x-amzn-errortype': 'AccessDeniedException' })], 'index-unavailable'],
    ['no such function', [answer({}, 404, { 'x-amzn-errortype': 'ResourceNotFoundException' })], 'index-unavailable'],
    ['a function error', [answer(forward, 200, { 'x-amz-function-error': 'Unhandled' })], 'claim-unknown'],
    ['no JSON', [answer('{"forward":')], 'claim-unknown'],
    ['null', [answer('null')], 'claim-unknown'],
    ['an empty result', [answer({})], 'claim-unknown'],
    ['a pass without a signature', [answer({ forward: { drop: [] } })], 'claim-unknown'],
    ['a response without a status', [answer({ response: {} })], 'claim-unknown'],
    ['an answer cut short', [(response) => { response.writeHead(200, { 'content-length': 1000 }); response.write('{"forward":{"querystring":"x"}}', () => response.socket.destroy()); }], 'claim-unknown'],
    ['another protocol', [(response) => { response.socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'); }], 'claim-unknown'],
    ['an answer that is a byte too long', [answer(long((1 << 20) + 1))], 'claim-unknown'],
  ]) {
    test(`refuses after ${name}`, async () => {
      for (const [handler, e, reason] of [[stub.gate, put(), gateReason], [stub.mint, event('GET', '/url'), 'index-unavailable']]) {
        script = [...steps];
        const response = await handler(e, context());
        assert.equal(response.status, '503');
        assert.equal(reasonOf(response), reason);
        assert.equal(response.headers['retry-after']?.[0].value, reason === 'index-unavailable' ? '1' : undefined);
        assert.match(response.body, /^Service Unavailable: /);
        assert.equal(script.length, 0);
      }
      assert.ok(!errors.join().includes('signed=1'));
      assert.ok(errors.length >= 2);
      for (const line of errors) {
        assert.ok(line.endsWith('}\n'));
        const { timestamp, level, message, function: name, error, request } = JSON.parse(line);
        assert.ok(Date.parse(timestamp));
        assert.deepEqual([level, message, request], ['ERROR', 'no answer of the regional function', 'request-1']);
        assert.ok(['mint', 'gate'].includes(name) && error, line);
      }
    });
  }

  test('takes an answer of 1 MiB', async () => {
    script = [answer(long(1 << 20))];
    assert.equal((await stub.gate(put(), context())).querystring, 'signed=1');
  });

  // A container may have been frozen for hours, and nobody says when an idle connection is
  // closed.
  test('uses no connection that was idle for more than 15 s', async () => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() });
    try {
      const sockets = new Set();
      for (const [idle, want] of [[60_000, 1], [15_000, 1], [15_000, 1], [15_001, 2], [0, 2]]) {
        mock.timers.tick(idle);
        script = [(response) => { sockets.add(response.socket); answer(forward)(response); }];
        await stub.gate(put(), context());
        assert.equal(sockets.size, want, `after ${idle} ms`);
      }
    } finally {
      mock.timers.reset();
    }
  });

  test('when one reused connection is dead, no other is used', async () => {
    const known = new Set();
    const note = (response) => { known.add(response.socket); answer(forward)(response); };
    let first;
    script = [(response) => { first = response; }, (response) => { note(first); note(response); }];
    await Promise.all([stub.gate(put(), context()), stub.gate(put(), context())]);
    assert.equal(known.size, 2);
    const tries = [];
    const step = (response) => { tries.push(known.has(response.socket)); (tries.at(-1) ? reset : answer(forward))(response); };
    script = [step, step];
    assert.equal((await stub.gate(put(), context())).querystring, 'signed=1');
    assert.deepEqual(tries, [true, false]);
  });

  test('nothing of an invocation outlives its answer but idle connections', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((r) => r === 'Timeout').length;
    const before = timers();
    for (const steps of [[answer(forward)], [answer('no JSON')], [answer({}, 403)], [answer({}, 503), answer({}, 503)], [reset, reset], [() => {}]]) {
      script = [...steps];
      await stub.gate(put(), context(steps.length > 1 ? 3000 : 300));
      assert.equal(timers(), before, String(steps));
    }
  });

  test('a request without an answer in time is ended', { timeout: 10_000 }, async () => {
    let closed;
    script = [(response) => { closed = new Promise((resolve) => { response.socket.on('close', resolve); }); }];
    assert.equal(reasonOf(await stub.gate(put(), context(300))), 'claim-unknown');
    await closed;
  });

  test('a request that ends without an answer is not waited for', async () => {
    script = [(response) => response.socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n')];
    await stub.gate(put(), context());
    assert.match(errors.join(), /the connection ended without an answer/);
  });

  test('gives up in time, and does not begin a second try without time for it', async () => {
    script = [() => {}];
    let response = await stub.gate(put(), context(300));
    assert.equal(reasonOf(response), 'claim-unknown');
    script = [answer({}, 429), answer(forward)];
    response = await stub.gate(put(), context(1000));
    assert.equal(reasonOf(response), 'index-unavailable');
    assert.equal(script.length, 1);
  });

  test('nobody listens', async () => {
    const { port } = server.address();
    await new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); });
    await stub.gate(put(), context()); // may find a connection of before, and not know
    errors = [];
    assert.equal(reasonOf(await stub.gate(put(), context())), 'index-unavailable');
    assert.equal(errors.length, 2, 'it was tried twice');
    await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  });

  test('garbage is refused before anybody is asked', async () => {
    const circular = put();
    circular.self = circular;
    assert.equal(reasonOf(await stub.gate(circular, context())), 'internal');
    assert.equal(reasonOf(await stub.gate(put())), 'internal');
    assert.equal(calls.length, 0);
  });

  // The function has run, and what it says cannot be done: nobody can say that nothing was spent.
  test('a pass for an event that has no request', async () => {
    script = [answer(forward)];
    assert.equal(reasonOf(await stub.gate({}, context())), 'internal');
  });
});
