// Tests of the artifact (build/edge) with settings that say who may mint. Which credentials
// are valid is tested in Go. These tests are about the two builds and the transport.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { S3, context, event, load, putEvent, reasonOf, tempDir } from './harness.mjs';

const settings = (auth) => {
  const file = path.join(tempDir(), 'config.json');
  writeFileSync(file, JSON.stringify({ bucket: 'a-bucket', auth }));
  return { 'config.json': file };
};
const ask = (name, value) => event('GET', '/url', { headers: { [name]: [{ key: name, value }] } });

describe('tokens', () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const b64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = () => {
    const text = `${b64({ alg: 'RS256', kid: 'r' })}.${b64({ iss: 'i', aud: 'a', sub: 'alice', exp: Math.ceil(Date.now() / 1000) + 60 })}`;
    return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`;
  };
  let s3, site, fetches, functions, auth;
  before(async () => {
    s3 = await new S3().start();
    site = http.createServer((request, response) => {
      fetches.push(request);
      response.end(JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'r' }] }));
    });
    await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
    auth = { jwt: { issuer: 'i', audience: 'a', jwks: `http://127.0.0.1:${site.address().port}/keys?set=1` } };
    process.env.ONCEGATE_VIEWER_SCHEME = 'http';
    fetches = [];
    functions = await load(s3.url, settings(auth));
  });
  beforeEach(() => { fetches = []; });
  after(async () => {
    delete process.env.ONCEGATE_VIEWER_SCHEME;
    site.closeAllConnections();
    await new Promise((resolve) => site.close(resolve));
    await s3.stop();
  });

  test('the keys are fetched by the first mint, not before and not again, and nothing stays open', async () => {
    assert.equal(fetches.length, 0, 'fetched before anybody asked');
    for (let i = 0; i < 3; i++) {
      const response = await functions.mint(ask('authorization', `Bearer ${token()}`), context());
      assert.equal(response.status, '200', response.body);
    }
    assert.deepEqual(fetches.map((r) => `${r.method} ${r.url} ${r.headers.authorization}`), ['GET /keys?set=1 undefined']);
    await new Promise((resolve) => { if (fetches[0].socket.destroyed) resolve(); else fetches[0].socket.on('close', resolve); });
  });

  test('mint and gate of one process each have their own build', async () => {
    const minted = await functions.mint(ask('authorization', `Bearer ${token()}`), context());
    const forwarded = await functions.gate(putEvent(minted.body), context());
    assert.match(forwarded.querystring, /X-Amz-Signature=/);
    const refused = await functions.mint(event('GET', '/url'), context());
    assert.equal(reasonOf(refused), 'credential-missing');
    assert.equal(refused.headers['www-authenticate'][0].value, 'Bearer realm="oncegate"');
  });

  test('plain http is refused at the real edge, by both builds', async () => {
    delete process.env.ONCEGATE_VIEWER_SCHEME;
    for (const handler of ['index.mint', 'index.gate']) {
      process.env._HANDLER = handler;
      await assert.rejects(load(s3.url, settings(auth)), /did not start/);
    }
    delete process.env._HANDLER;
    process.env.ONCEGATE_VIEWER_SCHEME = 'http';
  });
});

describe('keys', () => {
  let s3, functions;
  const key = 'ogk_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff@';
  before(async () => {
    s3 = await new S3().start();
    functions = await load(s3.url, settings('api-key'));
  });
  after(() => s3.stop());

  test('a key is read from S3 once, and again on a fresh connection if need be', async () => {
    const good = key.replace('@', crc32(key.slice(0, -1)));
    const id = createHash('sha256').update(good).digest('hex');
    s3.objects.set(`/a-bucket/keys/${id}`, { headers: {}, body: '{"version":1,"label":"ci","created":"2026-03-04T05:06:07Z"}' });
    let dead = 0;
    s3.behave = (request) => {
      if (!request.url.includes('/keys/') || dead++) return false;
      request.socket.resetAndDestroy();
      return true;
    };
    for (let i = 0; i < 3; i++) {
      const response = await functions.mint(ask('x-api-key', good), context());
      assert.equal(response.status, '200', response.body);
    }
    assert.deepEqual(s3.requests.filter((r) => r.startsWith('GET')), [`GET keys/${id}`, `GET keys/${id}`]);
    const refused = await functions.mint(ask('x-api-key', key.replace('@', '00000000')), context());
    assert.equal(reasonOf(refused), 'credential-invalid');
    assert.equal(refused.headers['www-authenticate'][0].value, 'ApiKey realm="oncegate"');
  });
});

// crc32 is the one of zlib. Node has it since 22.2.
function crc32(text) {
  let crc = ~0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (~crc >>> 0).toString(16).padStart(8, '0');
}
