// The HTTP client of the edge, against a server that sends the bytes of each case, whole and cut
// in two at every place, and against Node's own client.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { Server } from './http.mjs';

// Raw answers each request on a connection with the next of its scripts: a list of byte strings
// and the words below, one after the other.
class Raw {
  scripts = [];
  requests = [];
  connections = 0;

  async start() {
    this.server = net.createServer((socket) => {
      this.connections++;
      socket.setNoDelay(true);
      socket.on('error', () => {});
      let text = '';
      socket.on('data', async (bytes) => {
        text += bytes.toString('latin1');
        const [head, length = '0'] = /^[^]*?\r\ncontent-length: (\d+)\r\n[^]*?\r\n\r\n|^[^]*?\r\n\r\n/.exec(text) ?? [];
        if (head === undefined || text.length < head.length + Number(length)) return;
        this.requests.push(text);
        text = '';
        for (const step of this.scripts.shift() ?? []) {
          if (step === 'end') socket.end();
          else if (step === 'reset') socket.resetAndDestroy();
          else await new Promise((done) => { socket.write(Buffer.from(step, 'latin1'), () => setImmediate(done)); });
        }
      });
    });
    await new Promise((done) => { this.server.listen(0, '127.0.0.1', done); });
    this.url = new URL(`http://127.0.0.1:${this.server.address().port}`);
    return this;
  }

  stop() { this.server.close(); }
}

const send = (server, method = 'GET', { target = '/x', headers = ['host', 'h'], body = '', limit = 5000 } = {}) => new Promise((resolve) => {
  server.send([method, target, ...headers], body, limit, resolve);
});

const value = (answer, name) => answer.headers[answer.headers.indexOf(name) + 1];

suite('the HTTP client', () => {
  let raw;
  before(async () => { raw = await new Raw().start(); });
  after(() => raw.stop());

  const good = [
    ['a length', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "e"\r\n\r\nhello', { status: 200, body: 'hello', kept: true }],
    ['no body', 'PUT', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', { status: 200, body: '', kept: true }],
    ['a HEAD with a length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', { status: 200, body: '', kept: true }],
    ['a HEAD in chunks', 'HEAD', 'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n', { status: 404, body: '', kept: true }],
    ['no content', 'DELETE', 'HTTP/1.1 204 No Content\r\n\r\n', { status: 204, body: '', kept: true }],
    ['not modified', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', { status: 304, body: '', kept: true }],
    ['no reason', 'GET', 'HTTP/1.1 503\r\nContent-Length: 1\r\n\r\nx', { status: 503, body: 'x', kept: true }],
    ['chunks', 'GET', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6 ;a="b"\r\n world\r\n0\r\n\r\n', { status: 200, body: 'hello world', kept: true }],
    ['chunks of none', 'GET', 'HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n0\r\nx-trailer: y\r\n\r\n', { status: 200, body: '', kept: true }],
    ['continue first', 'PUT', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', { status: 200, body: 'ok', kept: true }],
    ['closed afterwards', 'GET', 'HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok', { status: 200, body: 'ok', kept: false }],
    ['the old version', 'GET', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', { status: 200, body: 'ok', kept: false }],
    ['too much', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n', { status: 200, body: 'ok', kept: false }],
    ['ended by the connection', 'GET', ['HTTP/1.1 200 OK\r\n\r\nto the last', 'end'], { status: 200, body: 'to the last', kept: false }],
    ['twice the same length', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nok', { status: 200, body: 'ok', kept: true }],
  ];
  for (const [name, method, script, want] of good) {
    test(name, async () => {
      const [bytes, ...more] = [script].flat();
      // Where it ends by a rule of its own, the last byte may come late without being missed.
      for (let cut = 0; cut < bytes.length; cut++) {
        const server = new Server(raw.url);
        raw.scripts.push(cut ? [bytes.slice(0, cut), bytes.slice(cut), ...more] : [bytes, ...more]);
        const answer = await send(server, method);
        assert.equal(answer.message, undefined, `cut at ${cut}`);
        assert.deepEqual([answer.status, answer.body.toString()], [want.status, want.body], `cut at ${cut}`);
        const before = raw.connections;
        raw.scripts.push(['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n']);
        assert.equal((await send(server)).status, 200);
        // What came too much may be seen only when the connection has been taken for the next.
        if (name !== 'too much' || cut === 0) assert.equal(raw.connections === before, want.kept, `cut at ${cut}`);
        server.dropIdle();
      }
    });
  }

  // Every character that a name may have (https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2),
  // and the headers of AWS's own examples.
  test('every name of a header', async () => {
    const server = new Server(raw.url);
    const names = ["a!#$%&'*+-.^_`|~0123456789", 'x-amz-id-2', 'x-amz-request-id', 'x-amz-crc32', 'x-amzn-RequestId', 'x-amz-version-id', 'Server', 'Last-Modified'];
    raw.scripts.push([`HTTP/1.1 200 OK\r\n${names.map((name, i) => `${name}: ${i}\r\n`).join('')}Content-Length: 0\r\n\r\n`]);
    const answer = await send(server);
    names.forEach((name, i) => assert.equal(value(answer, name.toLowerCase()), String(i)));
    server.dropIdle();
  });

  test('headers have lower-case names and their bytes', async () => {
    const server = new Server(raw.url);
    raw.scripts.push(['HTTP/1.1 200 OK\r\nX-Amz-Meta-A:  caf\xc3\xa9 \t\r\nDate:Fri\r\nEmpty:\r\nContent-Length: 0\r\n\r\n']);
    const answer = await send(server);
    assert.equal(value(answer, 'x-amz-meta-a'), 'caf\xc3\xa9');
    assert.equal(value(answer, 'date'), 'Fri');
    assert.equal(value(answer, 'empty'), '');
    server.dropIdle();
  });

  test('a request goes out as the bytes that were given', async () => {
    const server = new Server(raw.url);
    raw.scripts.push(['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n']);
    await send(server, 'PUT', { target: '/a?b=c', headers: ['host', 'h:1', 'content-length', '2', 'x-name', '\xc3\xa9'], body: '\xc3\xa9' });
    assert.equal(raw.requests.at(-1), 'PUT /a?b=c HTTP/1.1\r\nhost: h:1\r\ncontent-length: 2\r\nx-name: \xc3\xa9\r\n\r\n\xc3\xa9');
    server.dropIdle();
  });

  for (const [name, lines] of [
    ['a header', ['PUT', '/x', 'host', 'h', 'x-name', 'a\r\nx-other: b']], ['a lone line feed', ['PUT', '/x', 'host', 'h\nx: y']],
    ['the target', ['PUT', '/x HTTP/1.1\r\nhost: i', 'host', 'h']], ['a zero', ['PUT', '/x', 'host', 'h\0']],
  ]) {
    test(`a line end in ${name} is sent to nobody`, async () => {
      const before = raw.requests.length;
      const answer = await new Promise((resolve) => { new Server(raw.url).send(lines, '', 5000, resolve); });
      assert.match(answer.message, /control character/);
      assert.equal(answer.stale, false);
      assert.equal(raw.requests.length, before);
    });
  }

  for (const [name, script, message] of [
    ['no HTTP', ['SSH-2.0-OpenSSH\r\n\r\n'], /not HTTP/],
    ['another version', ['HTTP/2 200\r\n\r\n'], /not HTTP/],
    ['a status of two digits', ['HTTP/1.1 20 OK\r\n\r\n'], /not HTTP/],
    ['another protocol', ['HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'], /changes the protocol/],
    ['two lengths', ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'], /length that is none/],
    ['a length with a sign', ['HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab'], /length that is none/],
    ['a list of lengths', ['HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nab'], /length that is none/],
    ['a length and chunks', ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'], /two lengths/],
    ['gzip and chunks', ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'], /encoding that is not known/],
    ['a folded header', ['HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n'], /header that is none/],
    ['a space before the colon', ['HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n'], /header that is none/],
    ['a lone line feed', ['HTTP/1.1 200 OK\r\nX: a\nContent-Length: 0\r\n\r\n'], /header that is none/],
    ['a chunk of no number', ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n'], /chunk that is none/],
    ['a chunk that is longer than it says', ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n'], /chunk that is none/],
    ['a head without end', [`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(40_000)}`], /too large/],
    ['a body that is too long', ['HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n'], /too large/],
    ['chunks that are too long', ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n', 'a'.repeat(0xfffff), '\r\n2\r\n'], /too large/],
    ['no end and too long', ['HTTP/1.1 200 OK\r\n\r\n', 'a'.repeat(1_100_000)], /too large/],
    ['a body cut short', ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel', 'end'], /cut short/],
    ['chunks cut short', ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', 'end'], /cut short/],
    ['a head cut short', ['HTTP/1.1 200 OK\r\nContent-Le', 'end'], /cut short/],
    ['a reset in the body', ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel', 'reset'], /cut short/],
    ['the end of the connection', ['end'], /without an answer/],
    ['a reset', ['reset'], /ECONNRESET|without an answer/],
  ]) {
    test(`${name} is no answer`, async () => {
      const server = new Server(raw.url);
      raw.scripts.push(script);
      const answer = await send(server);
      assert.match(answer.message ?? `status ${answer.status}`, message);
      assert.equal(answer.stale, false);
      const before = raw.connections;
      raw.scripts.push(['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n']);
      assert.equal((await send(server)).status, 200);
      assert.equal(raw.connections, before + 1, 'the connection is not used again');
      server.dropIdle();
    });
  }

  for (const how of ['end', 'reset']) {
    test(`a reused connection that dies by ${how} is stale, one that has begun to answer is not`, async () => {
      const server = new Server(raw.url);
      const ok = ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'];
      raw.scripts.push(ok, [how], ok, ['HTTP/1.1 100 Continue\r\n\r\n', how]);
      await send(server);
      assert.equal((await send(server)).stale, true);
      assert.equal((await send(server)).status, 200);
      assert.deepEqual(await send(server), { message: 'answer cut short', stale: false });
    });
  }

  test('an answer that does not come is given up, and told once', async () => {
    const server = new Server(raw.url);
    let told = 0;
    raw.scripts.push([]);
    const answer = await new Promise((resolve) => {
      const exchange = server.send(['GET', '/x', 'host', 'h'], '', 50, (outcome) => {
        told++;
        exchange.destroy();
        resolve(outcome);
      });
    });
    assert.deepEqual(answer, { message: 'no answer within 50 ms', stale: false });
    assert.equal(told, 1);
  });

  test('what nobody asked for ends an idle connection', async () => {
    const server = new Server(raw.url);
    const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
    raw.scripts.push([ok, 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged']);
    assert.equal((await send(server)).status, 200);
    await new Promise((done) => { setTimeout(done, 50); }); // for the forged bytes to arrive
    const before = raw.connections;
    raw.scripts.push([ok]);
    assert.equal((await send(server)).body.length, 0);
    assert.equal(raw.connections, before + 1);
    server.dropIdle();
  });

  test('an idle connection does not keep the process', { timeout: 20_000 }, async () => {
    raw.scripts.push(['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n']);
    const program = `import { Server } from ${JSON.stringify(new URL('http.mjs', import.meta.url).href)};
      new Server(new URL('${raw.url}')).send(['GET', '/', 'host', 'h'], '', 5000, (answer) => console.log(answer.status));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { timeout: 15_000 });
    assert.equal(stdout, '200\n');
  });

  test('nobody there', async () => {
    const answer = await send(new Server(new URL('http://127.0.0.1:1')));
    assert.match(answer.message, /ECONNREFUSED/);
    assert.equal(answer.stale, false);
  });
});

// Answers as Node's own server sends them, in every way that it has, read by both clients.
test('reads what Node reads', async () => {
  let next;
  const node = http.createServer((request, response) => {
    request.resume();
    request.on('end', async () => {
      response.writeHead(next.status, next.headers);
      for (const piece of next.pieces) await new Promise((done) => { response.write(piece, done); });
      response.end();
    });
  });
  await new Promise((done) => { node.listen(0, '127.0.0.1', done); });
  const url = new URL(`http://127.0.0.1:${node.address().port}`);
  const server = new Server(url);
  let seed = 1;
  const random = (n) => { seed = (seed * 48271) % 2147483647; return seed % n; };
  for (let round = 0; round < 300; round++) {
    const pieces = Array.from({ length: random(5) }, () => 'x\r\n0\r\n\r\n'.repeat(random(400)) + 'y');
    const method = ['GET', 'HEAD', 'PUT', 'DELETE'][random(4)];
    const status = [200, 204, 304, 400, 404, 412, 503][random(7)];
    next = {
      status,
      pieces: method === 'HEAD' || status === 204 || status === 304 ? [] : pieces,
      headers: { etag: `"${random(1000)}"`, ...random(2) && { 'content-length': pieces.join('').length }, ...random(4) === 0 && { connection: 'close' } },
    };
    if (status === 204) delete next.headers['content-length'];
    const ours = await send(server, method, { headers: ['host', url.host, 'content-length', '0'] });
    const theirs = await new Promise((resolve, reject) => {
      http.request(url, { method, agent: false }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode, etag: response.headers.etag, body: Buffer.concat(chunks).toString() }));
      }).on('error', reject).end();
    });
    assert.equal(ours.message, undefined, JSON.stringify(next).slice(0, 200));
    assert.deepEqual({ status: ours.status, etag: value(ours, 'etag'), body: ours.body.toString() }, theirs);
  }
  server.dropIdle();
  node.closeAllConnections();
  node.close();
});

// Whatever comes, there is one outcome and no exception.
test('any bytes', async () => {
  const raw = await new Raw().start();
  const parts = ['HTTP/1.1 200 OK', 'HTTP/1.1 100 Continue', '\r\n', '\r\n\r\n', '\n', ':', ' ', 'Content-Length: ', 'Transfer-Encoding: chunked', '0', '5', 'ffffffff', 'hello', '\0', '\xff', 'Connection: close', 'end', 'reset'];
  let seed = 7;
  const random = (n) => { seed = (seed * 48271) % 2147483647; return seed % n; };
  for (let round = 0; round < 500; round++) {
    const script = Array.from({ length: 1 + random(10) }, () => parts[random(parts.length)]);
    const last = script.findIndex((step) => step === 'end' || step === 'reset');
    raw.scripts = [last < 0 ? [...script, 'end'] : script.slice(0, last + 1)];
    const server = new Server(raw.url);
    let told = 0;
    const answer = await new Promise((resolve) => {
      server.send(['GET', '/', 'host', 'h'], '', 5000, (outcome) => { told++; resolve(outcome); });
    });
    assert.ok(answer.message || answer.status >= 200, script.join('|'));
    assert.equal(told, 1);
    server.dropIdle();
  }
  raw.stop();
});
