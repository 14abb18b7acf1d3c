// Tests of the artifact with the index in a DynamoDB table: what the handler does with a second
// endpoint. The Go tests use the local table, which knows signatures and conditions.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, beforeEach, describe, mock, test } from 'node:test';
import { S3, context, event, load, pausesOf, putEvent, reasonOf, tempDir } from './harness.mjs';

// Table has items that are minted and spent. behave, when set, sees each request first and may
// answer or destroy it itself by returning true.
class Table {
  items = new Map();
  requests = [];
  sockets = new Set();
  behave = null;

  async start() {
    this.server = http.createServer((request, response) => {
      this.sockets.add(request.socket);
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        this.requests.push(`${request.method} ${request.url} ${request.headers['x-amz-target']}`);
        if (!this.behave?.(request, response)) this.answer(JSON.parse(Buffer.concat(chunks)), response);
      });
    });
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  answer({ Key, ExpressionAttributeValues: values, ReturnValues }, response) {
    const name = `${Key.p.S} ${Key.k.S}`;
    const say = (status, body) => response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body));
    const item = this.items.get(name);
    if (!values) return say(200, { Item: item }); // GetItem
    if (ReturnValues !== 'ALL_NEW') {
      this.items.set(name, { ...Key, valid: values[':valid'] });
      return say(200, {});
    }
    if (!item || (item.nonce && item.nonce.S !== values[':nonce'].S)) {
      return say(400, { __type: 'com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException', message: 'The conditional request failed', Item: item });
    }
    for (const attribute of ['claim', 'nonce', 'why']) item[attribute] ??= values[`:${attribute}`];
    return say(200, { Attributes: item, ConsumedCapacity: { TableName: 't', CapacityUnits: 1.5 } });
  }

  get spent() { return [...this.items.values()].some((item) => item.nonce); }

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

// settings writes a config.json of a deployment with its index there.
function settings(index) {
  const file = path.join(tempDir(), 'config.json');
  writeFileSync(file, JSON.stringify({ bucket: 'a-bucket', index }));
  return file;
}

describe('the artifact with its index in a table', () => {
  let s3, table, functions;
  before(async () => {
    [s3, table] = [await new S3().start(), await new Table().start()];
    process.env.AWS_ENDPOINT_URL_DYNAMODB = table.url;
    functions = await load(s3.url, { 'config.json': settings('dynamodb') });
  });
  beforeEach(() => {
    table.items.clear();
    table.requests.length = s3.requests.length = 0;
    table.behave = s3.behave = null;
  });
  after(() => {
    delete process.env.AWS_ENDPOINT_URL_DYNAMODB;
    return Promise.all([s3.stop(), table.stop()]);
  });

  const mintURL = async () => {
    const response = await functions.mint(event('GET', '/url'), context());
    assert.equal(response.status, '200', response.body);
    return response.body;
  };

  test('asks it once for a mint and once for a gate, and the bucket never', async () => {
    const url = await mintURL();
    assert.equal((await functions.gate(putEvent(url), context())).status, undefined);
    assert.equal(reasonOf(await functions.gate(putEvent(url), context())), 'used');
    assert.deepEqual(table.requests, Array(3).fill('POST / DynamoDB_20120810.UpdateItem'));
    assert.deepEqual(s3.requests, []);
  });

  test('goes to the bucket for the parts of a URL', async () => {
    const { pathname, search } = new URL(await mintURL());
    await functions.gate(event('POST', pathname, { querystring: `${search.slice(1)}&uploads` }), context());
    assert.ok(table.requests.some((r) => r.endsWith('.GetItem')), String(table.requests));
    assert.deepEqual(new Set(s3.requests.map((r) => r.split('/')[0])), new Set(['POST uploads']));
  });

  test('a reused connection that is dead is tried again at once', async () => {
    const url = await mintURL(); // leaves a connection
    table.behave = (request) => {
      table.behave = null;
      request.socket.resetAndDestroy();
      return true;
    };
    const pauses = await pausesOf(async () => {
      const forwarded = await functions.gate(putEvent(url), context());
      assert.equal(forwarded.status, undefined, forwarded.body);
    });
    assert.deepEqual(pauses, []);
  });

  test('an answer that is too large or cut short is none', async () => {
    for (const behave of [
      (request, response) => { response.writeHead(200).end(Buffer.alloc((1 << 20) + 1)); return true; },
      (request, response) => { response.writeHead(200, { 'content-length': 1000 }); response.write('{'); request.socket.destroySoon(); return true; },
    ]) {
      const url = await mintURL();
      table.behave = behave;
      const response = await functions.gate(putEvent(url), context(3000));
      table.behave = null;
      assert.equal(response.status, '503');
      assert.equal(reasonOf(response), 'claim-unknown');
      assert.ok(!table.spent);
      assert.equal((await functions.gate(putEvent(url), context())).status, undefined);
      table.items.clear();
    }
  });

  // The bucket is asked for parts alone, perhaps once an hour, and the table all the time.
  test('each endpoint has its own connections, and counts for itself how long they are idle', async () => {
    const parts = async () => {
      const { pathname, search } = new URL(await mintURL());
      await functions.gate(event('POST', pathname, { querystring: `${search.slice(1)}&uploads` }), context());
    };
    s3.behave = (request, response) => { response.writeHead(403).end(); return true; };
    await parts();
    const before = s3.connections;
    assert.ok(before > 0, 'the bucket was not asked');
    mock.timers.enable({ apis: ['Date'], now: Date.now() });
    try {
      table.behave = (request, response) => { response.setHeader('date', new Date().toUTCString()); return false; };
      for (let i = 0; i < 3; i++) {
        mock.timers.tick(10_000);
        table.sockets.clear();
        await mintURL();
        assert.equal(table.sockets.size, 1);
      }
      await parts();
      assert.equal(s3.connections, before + 1, 'a connection to the bucket was used again after 30 s');
    } finally {
      mock.timers.reset();
    }
  });

  test('an endpoint that is no URL stops the start', async () => {
    process.env.AWS_ENDPOINT_URL_DYNAMODB = '127.0.0.1:8000';
    try {
      await assert.rejects(load(s3.url, { 'config.json': settings('dynamodb') }), /did not start/);
    } finally {
      process.env.AWS_ENDPOINT_URL_DYNAMODB = table.url;
    }
  });

  test('with the index in the bucket no table is asked', async () => {
    const inBucket = await load(s3.url, { 'config.json': settings('s3') });
    const { body } = await inBucket.mint(event('GET', '/url'), context());
    assert.equal((await inBucket.gate(putEvent(body), context())).status, undefined);
    assert.deepEqual(table.requests, []);
    assert.ok(s3.has('signatures/expired/'));
  });
});
