// Tests of the artifact (build/edge) in the Node that runs this file.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, mock, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { S3, artifact, context, event, load, loader, pausesOf, putEvent, reasonOf, tempDir } from './harness.mjs';
import { snapshot } from './snapshot.mjs';

const switching = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n';

const here = path.dirname(fileURLToPath(import.meta.url));

describe('the artifact', () => {
  let s3, functions, logged;
  before(async () => {
    s3 = await new S3().start();
    functions = await load(s3.url);
    const write = process.stdout.write;
    process.stdout.write = function (chunk, ...rest) {
      if (String(chunk).startsWith('{"timestamp"')) { logged += chunk; return true; }
      return write.call(process.stdout, chunk, ...rest);
    };
  });
  beforeEach(() => {
    s3.objects.clear();
    s3.requests.length = 0;
    s3.behave = null;
    logged = '';
  });
  after(() => s3.stop());

  const mintURL = async () => {
    const response = await functions.mint(event('GET', '/url'), context());
    assert.equal(response.status, '200', response.body);
    return response.body;
  };

  test('mints a URL on the viewer’s host and spends it once', async () => {
    const response = await functions.mint(event('GET', '/url'), context());
    assert.equal(response.status, '200');
    assert.deepEqual(response.headers, {
      'cache-control': [{ value: 'no-store' }],
      'content-type': [{ value: 'text/plain; charset=utf-8' }],
    });
    assert.match(response.body, /^https:\/\/d111111abcdef8\.cloudfront\.net\/uploads\/[0-9a-f-]{36}\?X-Amz-Algorithm=/);
    assert.ok(s3.has('signatures/valid/'));

    const put = putEvent(response.body, {
      authorization: [{ key: 'Authorization', value: 'Bearer x' }],
      'x-amz-acl': [{ key: 'x-amz-acl', value: 'public-read' }],
      'content-type': [{ key: 'Content-Type', value: 'image/jpeg' }],
      cookie: [{ key: 'Cookie', value: 'a=b' }],
      'user-agent': [{ key: 'User-Agent', value: 'curl/8' }],
    });
    const original = structuredClone(put.Records[0].cf.request);
    const forwarded = await functions.gate(put, context());
    assert.equal(forwarded.status, undefined);
    assert.equal(forwarded.uri, original.uri);
    assert.equal(forwarded.method, 'PUT');
    assert.match(forwarded.querystring, /^X-Amz-Algorithm=.*X-Amz-Credential=AKIDEXAMPLE.*X-Amz-Expires=60&X-Amz-Security-Token=a-session-token&X-Amz-SignedHeaders=host&x-id=PutObject&X-Amz-Signature=[0-9a-f]{64}$/);
    const { authorization, 'x-amz-acl': acl, cookie, 'user-agent': agent, ...kept } = original.headers;
    assert.ok(authorization && acl && cookie && agent);
    assert.deepEqual(forwarded.headers, kept);

    const refused = await functions.gate(putEvent(response.body), context());
    assert.equal(refused.status, '403');
    assert.equal(reasonOf(refused), 'used');
    assert.equal(refused.body, 'Forbidden: this URL has already been used; if an earlier try was your own, it may be stored, and any other upload needs a new URL.');
  });

  test('uses the bucket’s Region, not the one it runs in', async () => {
    const url = new URL(await mintURL());
    assert.match(url.searchParams.get('X-Amz-Credential'), /^oncegate\/\d{8}\/us-east-1\/s3\/aws4_request$/);
  });

  for (const [name, make] of Object.entries({
    'an empty event': () => ({}),
    'no event': () => null,
    'a string': () => 'garbage',
    'no records': () => ({ Records: [] }),
    'two records': () => ({ Records: [...event('GET', '/url').Records, ...event('GET', '/url').Records] }),
    'an origin request': () => { const e = event('PUT', '/x'); e.Records[0].cf.config.eventType = 'origin-request'; return e; },
    'headers of another shape': () => event('PUT', '/x', { headers: { host: 'string' } }),
    'a circular event': () => { const e = event('PUT', '/x'); e.self = e; return e; },
  })) {
    test(`refuses ${name}`, async () => {
      for (const handler of [functions.mint, functions.gate]) {
        const response = await handler(make(), context());
        assert.equal(response.status, '503');
        assert.equal(reasonOf(response), 'internal');
      }
      assert.deepEqual(s3.requests, []);
    });
  }

  test('refuses without a context', async () => {
    assert.equal((await functions.gate(event('PUT', '/x'))).status, '503');
  });

  test('a reused connection that is dead is tried again at once', async () => {
    const url = await mintURL();
    let dead = 0;
    s3.behave = (request) => {
      if (dead === 2 || request.socket.seen === undefined) { request.socket.seen = true; return false; }
      dead++;
      request.socket.resetAndDestroy();
      return true;
    };
    await mintURL();
    dead = 0;
    const pauses = await pausesOf(async () => {
      const forwarded = await functions.gate(putEvent(url), context());
      assert.equal(forwarded.status, undefined, forwarded.body);
    });
    assert.ok(dead > 0, 'no connection was reused, so nothing was tried');
    assert.deepEqual(pauses, []);
  });

  // S3 does not say when it closes an idle connection, and the container may have been frozen
  // for hours.
  test('uses no connection that was idle for more than 15 s', async () => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() });
    try {
      const sockets = new Set();
      // The server's date is not the mock's at once, so it is not compared here.
      s3.behave = (request, response) => {
        sockets.add(request.socket);
        response.setHeader('date', new Date().toUTCString());
        return false;
      };
      for (const [idle, want] of [[60_000, 1], [15_000, 1], [15_000, 1], [15_001, 2], [0, 2]]) {
        mock.timers.tick(idle);
        await mintURL();
        assert.equal(sockets.size, want, `after ${idle} ms`);
      }
    } finally {
      mock.timers.reset();
    }
  });

  test('when one reused connection is dead, no other is used', async () => {
    const before = new Set();
    s3.behave = (request) => { before.add(request.socket); return false; };
    await Promise.all([mintURL(), mintURL()]);
    assert.equal(before.size, 2);
    const tries = [];
    s3.behave = (request) => {
      tries.push(before.has(request.socket));
      if (tries.at(-1)) request.socket.resetAndDestroy();
      return tries.at(-1);
    };
    await mintURL();
    assert.deepEqual(tries, [true, false]);
  });

  test('a new connection that dies is not taken for one that was closed before', async () => {
    mock.timers.enable({ apis: ['Date'], now: Date.now() });
    try {
      // The pause is random, 0 to 60 ms, and one below a millisecond may set no timer. One in 60
      // is so short, so not four in a row.
      const pauses = await pausesOf(async () => {
        for (let i = 0; i < 4; i++) {
          mock.timers.tick(16_000); // no connection is that young
          let died = false;
          s3.behave = (request, response) => {
            response.setHeader('date', new Date().toUTCString());
            if (request.method !== 'PUT' || died) return false;
            died = true;
            request.socket.resetAndDestroy();
            return true;
          };
          await mintURL();
          assert.ok(died);
        }
      });
      assert.ok(pauses.length > 0, 'tried again without a pause');
    } finally {
      mock.timers.reset();
    }
  });

  for (const [length, want] of [[1 << 20, false], [(1 << 20) + 1, true]]) {
    test(`an answer of ${length} bytes is ${want ? 'too large' : 'read'}`, async () => {
      const url = await mintURL();
      s3.behave = (request, response) => { response.writeHead(500).end(Buffer.alloc(length)); return true; };
      assert.equal(reasonOf(await functions.gate(putEvent(url), context(3000))), 'index-unavailable');
      assert.equal(logged.includes('answer too large'), want, logged);
    });
  }

  test('a request without an answer in time is ended', { timeout: 10_000 }, async () => {
    const url = await mintURL();
    const closed = [];
    s3.behave = (request) => { closed.push(new Promise((resolve) => { request.socket.on('close', resolve); })); return true; };
    assert.equal(reasonOf(await functions.gate(putEvent(url), context(4000))), 'index-unavailable');
    assert.ok(closed.length >= 2);
    await Promise.all(closed);
  });

  test('a server that changes the protocol has not answered', async () => {
    const url = await mintURL();
    s3.behave = misbehaviours['that it changes the protocol'];
    await functions.gate(putEvent(url), context());
    assert.match(logged, /the server changes the protocol/);
  });

  test('sets the headers that the program says', async () => {
    const { body: url } = await functions.mint(event('GET', '/url', { querystring: 'type=image/png' }), context());
    const forwarded = await functions.gate(putEvent(url), context());
    assert.equal(forwarded.headers['content-type'][0].value, 'image/png');
  });

  // Half of an answer could be a claim that was granted.
  test('a claim whose answer is cut short is made again', async () => {
    const url = await mintURL();
    let claims = 0;
    s3.behave = (request, response) => {
      if (request.method !== 'PUT' || claims++) return false;
      response.writeHead(200, { 'content-length': 10, 'x-amz-version-id': 'made-up' });
      response.write('x', () => request.socket.destroySoon());
      return true;
    };
    assert.equal((await functions.gate(putEvent(url), context())).status, undefined);
    assert.equal(claims, 2);
    assert.ok(s3.has('signatures/expired/'));
  });

  test('a claim whose answer got lost on a dead connection is recognised as its own', async () => {
    const url = await mintURL();
    let claims = 0;
    s3.behave = (request, response, body) => {
      if (request.method !== 'PUT') return false;
      if (claims++) return false;
      s3.objects.set(request.url, { body, headers: request.headers });
      request.socket.resetAndDestroy();
      return true;
    };
    const forwarded = await functions.gate(putEvent(url), context());
    assert.equal(forwarded.status, undefined, forwarded.body);
    assert.equal(claims, 2);
  });

  const misbehaviours = {
    'truncated': (request, response) => { response.writeHead(200, { 'content-length': 1000 }); response.write('{'); request.socket.destroySoon(); return true; },
    'garbage': (request) => { request.socket.end('garbage\r\n\r\n'); return true; },
    'too large': (request, response) => { response.writeHead(200).end(Buffer.alloc(2 << 20)); return true; },
    'silence': () => true,
    'a redirect': (request, response) => { response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(); return true; },
    'that it changes the protocol': (request) => { request.socket.write(switching); return true; },
    'hints and nothing else': (request, response) => { response.writeEarlyHints({ link: '</x>; rel=preload' }); return true; },
  };
  for (const [name, behave] of Object.entries(misbehaviours)) {
    test(`S3 answering ${name} refuses and spends nothing`, async () => {
      const url = await mintURL();
      s3.behave = behave;
      const began = Date.now();
      const response = await functions.gate(putEvent(url), context(4000));
      assert.equal(response.status, '503');
      assert.equal(reasonOf(response), 'index-unavailable');
      assert.equal(response.headers['retry-after'][0].value, '1');
      assert.ok(Date.now() - began < 4000, 'answered after the deadline');
      assert.ok(!s3.has('signatures/expired/'));
    });
  }

  for (const [name, redate, want] of [
    ['25 s off', (response) => response.setHeader('date', new Date(Date.now() + 25_000).toUTCString()), undefined],
    ['a minute later', (response) => response.setHeader('date', new Date(Date.now() + 60_000).toUTCString()), 'index-unavailable'],
    ['a minute earlier', (response) => response.setHeader('date', new Date(Date.now() - 60_000).toUTCString()), 'index-unavailable'],
    ['of another form', (response) => response.setHeader('date', new Date().toISOString()), 'index-unavailable'],
    ['missing', (response) => { response.sendDate = false; }, 'index-unavailable'],
  ]) {
    test(`S3’s date ${name}: ${want ?? 'passes'}`, async () => {
      const url = await mintURL();
      s3.behave = (request, response) => { redate(response); return false; };
      assert.equal(reasonOf(await functions.mint(event('GET', '/url'), context())), want);
      const answer = await functions.gate(putEvent(url), context());
      assert.equal(reasonOf(answer), want);
      assert.equal(s3.has('signatures/expired/'), want === undefined);
      s3.behave = null;
      if (want) assert.equal((await functions.gate(putEvent(url), context())).status, undefined);
    });
  }

  test('nothing of an invocation outlives its answer but idle connections', async () => {
    // A timer that is left over shows in the count, and ends a later invocation.
    const timers = () => process.getActiveResourcesInfo().filter((r) => r === 'Timeout').length;
    const before = timers();
    const url = await mintURL();
    await functions.gate(putEvent(url), context());
    const good = await mintURL();
    for (const behave of [(request, response) => { response.writeHead(503).end(); return true; }, ...Object.values(misbehaviours)]) {
      s3.behave = behave;
      assert.equal((await functions.gate(putEvent(good), context(1500))).status, '503');
      assert.equal(timers(), before, String(behave));
    }
    s3.behave = null;
    const circular = putEvent(good);
    circular.self = circular; // no JSON can be made of it
    assert.equal(reasonOf(await functions.gate(circular, context(300))), 'internal');
    assert.equal(timers(), before);
    assert.equal((await functions.gate(putEvent(good), context())).status, undefined);
  });

  test('the heap keeps the limit that it was started with', () => {
    const limits = execFileSync(process.execPath, ['--max-semi-space-size=6', '--max-old-space-size=116', '--input-type=module', '-e', `
      import { getHeapStatistics } from 'node:v8';
      const before = getHeapStatistics().heap_size_limit;
      await import('${artifact}index.mjs');
      console.log(before, getHeapStatistics().heap_size_limit);
      process.exit();`], { encoding: 'utf8' }).trim().split(' ');
    assert.equal(limits[0], limits[1]);
    assert.ok(limits[0] < 200 << 20, `${limits[0]} bytes`);
  });

  test('logs one JSON line per decision, with nothing secret in it', async () => {
    const url = await mintURL();
    const forwarded = await functions.gate(putEvent(url), context());
    await functions.gate(putEvent(url), context());
    await functions.gate(event('GET', '/uploads/x', { requestId: 'request-9' }), context());
    const lines = logged.trim().split('\n').map((line) => JSON.parse(line));
    assert.deepEqual(lines.map((l) => l.reason ?? l.message), ['minted', 'passed', 'used', 'method']);
    assert.deepEqual(lines.map((l) => l.request), ['request-1', 'request-1', 'request-1', 'request-9']);
    const secrets = [url, forwarded.querystring].flatMap((u) => u.match(/[0-9a-f]{64}/g));
    for (const secret of [...secrets, 'a-secret-that-must-not-appear', 'a-session-token']) {
      assert.ok(!logged.includes(secret), `the log holds ${secret}`);
    }
  });
});

describe('a Go program that breaks', () => {
  let functions, quiet, s3, said;
  before(async () => {
    s3 = await new S3().start();
    const dir = tempDir();
    const wasm = path.join(dir, 'oncegate.wasm');
    execFileSync('go', ['build', '-o', wasm, './testdata/faulty'], {
      cwd: here, env: { ...process.env, GOOS: 'js', GOARCH: 'wasm' }, stdio: 'inherit',
    });
    writeFileSync(wasm, await snapshot(loader, readFileSync(wasm)));
    quiet = console.error;
    console.error = (...line) => { said.push(line.join(' ')); }; // panics are meant here; their traces are noise
    functions = await load(s3.url, { 'oncegate.wasm': wasm });
  });
  beforeEach(() => { said = []; });
  after(() => {
    console.error = quiet;
    return s3.stop();
  });

  for (const how of ['panic', 'panic-later', 'exit', 'exit-0', 'trap', 'hang', 'garbage', 'empty', 'neither', 'null', 'no-query']) {
    // Only what hangs takes all the time that there is.
    const ms = how === 'hang' ? 2000 : 20_000;
    test(`${how}: refused now, healthy on the next invocation`, { timeout: 10_000 }, async () => {
      const began = Date.now();
      const response = await functions.gate(event('PUT', '/x', { requestId: how }), context(ms));
      assert.equal(response.status, '503');
      assert.equal(reasonOf(response), 'internal');
      assert.ok(Date.now() - began < ms, 'answered after the deadline');
      const next = await functions.gate(event('PUT', '/x', { requestId: 'well' }), context());
      assert.equal(next.status, '204');
      // A timer that the dead program left behind must not take this one down.
      await new Promise((resolve) => setTimeout(resolve, 80));
      assert.equal((await functions.mint(event('PUT', '/x', { requestId: 'well' }), context())).status, '204');
    });
  }

  test('the outcome of a request is told once', async () => {
    s3.behave = (request) => { request.socket.resetAndDestroy(); return true; }; // an error, and then the end
    const response = await functions.gate(event('PUT', '/x', { requestId: 'ask' }), context());
    assert.equal(response.status, '201');
  });

  test('a program that has ended leaves no request, and is told of none', { timeout: 10_000 }, async () => {
    const asked = new Promise((resolve) => {
      s3.behave = (request) => { resolve(request.socket); return true; };
    });
    const first = functions.gate(event('PUT', '/x', { requestId: 'ask' }), context(20_000));
    const socket = await asked;
    const closed = new Promise((resolve) => { socket.on('close', resolve); });
    const second = functions.gate(event('PUT', '/x', { requestId: 'exit-0' }), context(20_000));
    assert.deepEqual([await first, await second].map(reasonOf), ['internal', 'internal']);
    await closed;
    assert.deepEqual(said, []);
  });

  // It would go on, claim perhaps, after the refusal.
  test('a program that ran out of time is told of nothing more', { timeout: 10_000 }, async () => {
    const closed = new Promise((resolve) => {
      s3.behave = (request) => { request.socket.on('close', resolve); return true; };
    });
    assert.equal(reasonOf(await functions.gate(event('PUT', '/x', { requestId: 'ask' }), context(1000))), 'internal');
    await closed;
    assert.deepEqual(said, []);
  });

  test('twice: the first result stands', async () => {
    const response = await functions.gate(event('PUT', '/x', { requestId: 'twice' }), context());
    assert.equal(response.status, '403');
  });

  test('answers itself with the words that the Go program has for it', async () => {
    const real = await load('http://127.0.0.1:1');
    assert.deepEqual(
      await functions.gate(event('PUT', '/x', { requestId: 'exit' }), context()),
      await real.gate({}, context()),
    );
  });

  test('a config.json that is wrong stops the start', async () => {
    const file = path.join(tempDir(), 'config.json');
    writeFileSync(file, '{"bucket":"Not-A-Bucket"}');
    await assert.rejects(load('http://127.0.0.1:1', { 'config.json': file }), /did not start/);
  });
});
