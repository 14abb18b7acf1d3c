// Tests of the page's handler: what it answers, whatever the settings say. That a browser
// likes it is tested in internal/evidence/page.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { artifact, event, tempDir } from './harness.mjs';

// What CloudFront takes of a viewer-request function, and what the page keeps to.
const quota = 40 * 1024;
const most = 32 * 1024;

// load imports a copy of the page alone: it needs no Go program and no S3.
async function load(settings = {}) {
  const dir = tempDir();
  for (const name of ['page.mjs', 'page.json']) await cp(path.join(artifact, name), path.join(dir, name));
  writeFileSync(path.join(dir, 'config.json'), JSON.stringify({ bucket: 'a-bucket', ...settings }));
  const { handler } = await import(path.join(dir, 'page.mjs'));
  return (method, uri, accept) => handler(event(method, uri, {
    headers: accept === undefined ? {} : { 'accept-encoding': [{ key: 'Accept-Encoding', value: accept }] },
  }));
}

const header = (response, name) => response.headers[name]?.map(({ value }) => value).join(', ');
const size = (response) => Buffer.byteLength(response.body ?? '') +
  Object.entries(response.headers).reduce((sum, [name, [{ value }]]) => sum + name.length + value.length, 0);
const text = (response) => {
  const body = Buffer.from(response.body, response.bodyEncoding === 'base64' ? 'base64' : 'utf8');
  return { undefined: (b) => b, br: brotliDecompressSync, gzip: gunzipSync }[header(response, 'content-encoding')](body).toString();
};
const filesOf = (html) => [...html.matchAll(/(?:src|href)="(\/upload\/[^"]+)"/g)].map(([, file]) => file);
const directives = (response) => Object.fromEntries(header(response, 'content-security-policy').split('; ').map((d) => [d.split(' ')[0], d.split(' ').slice(1).join(' ')]));

test('the page names files that are there, whole and the same in every encoding', async (t) => {
  const ask = await load();
  const html = text(await ask('GET', '/upload'));
  const files = filesOf(html);
  assert.deepEqual(files.map((f) => f.replace(/-[0-9a-f]{16}\./, '-#.')).sort(), ['/upload/app-#.js', '/upload/style-#.css', '/upload/texts-#.js']);
  for (const uri of ['/upload', ...files]) {
    const plain = await ask('GET', uri);
    for (const [accept, encoding] of [
      ['gzip, deflate, br, zstd', 'br'], ['gzip', 'gzip'], ['GZIP;q=0.5', 'gzip'], ['br;q=0, gzip', 'gzip'], ['br;q=0.000', undefined],
      ['identity', undefined], ['', undefined], ['brotli', undefined], ['*', undefined],
    ]) {
      const response = await ask('GET', uri, accept);
      assert.equal(response.status, '200');
      assert.equal(header(response, 'content-encoding'), encoding, `${uri} for ${accept}`);
      assert.equal(header(response, 'vary'), 'accept-encoding');
      assert.equal(text(response), text(plain), `${uri} for ${accept}`);
      assert.ok(size(response) < most && most < quota, `${uri} has ${size(response)} bytes for ${accept}`);
    }
    t.diagnostic(`${uri}: ${text(plain).length} bytes, gzip ${size(await ask('GET', uri, 'gzip'))} and br ${size(await ask('GET', uri, 'br'))} in the answer`);
    const head = await ask('HEAD', uri, 'br');
    const get = await ask('GET', uri, 'br');
    assert.deepEqual(head.headers, get.headers);
    assert.equal(head.body, undefined);
  }
  const script = files.find((f) => f.includes('/app-'));
  assert.ok(text(await ask('GET', script)).includes(files.find((f) => f.includes('/texts-'))), 'the script takes the texts by their hash');
  for (const file of files) {
    const hash = createHash('sha256').update(text(await ask('GET', file))).digest('hex').slice(0, 16);
    assert.ok(file.includes(`-${hash}.`), `${file} has the hash ${hash}`);
  }
});

test('headers', async () => {
  const ask = await load();
  const page = await ask('GET', '/upload');
  assert.equal(header(page, 'content-type'), 'text/html; charset=utf-8');
  assert.equal(header(page, 'cache-control'), 'no-cache');
  assert.deepEqual(directives(page), {
    'default-src': "'none'", 'script-src': "'self'", 'style-src': directives(page)['style-src'], 'connect-src': "'self'", 'img-src': 'data:', 'base-uri': "'none'",
    'form-action': "'none'", 'frame-ancestors': "'none'", 'require-trusted-types-for': "'script'", 'trusted-types': "'none'",
  });
  const files = filesOf(text(page));
  const types = await Promise.all(files.map(async (file) => header(await ask('GET', file), 'content-type')));
  assert.deepEqual([...new Set(types)].sort(), ['text/css; charset=utf-8', 'text/javascript; charset=utf-8']);
  for (const response of [page, await ask('GET', files[0]), await ask('GET', '/upload/x'), await ask('POST', '/upload')]) {
    assert.equal(header(response, 'referrer-policy'), 'no-referrer');
    assert.equal(header(response, 'x-content-type-options'), 'nosniff');
    assert.equal(header(response, 'set-cookie'), undefined);
  }
  assert.equal(header(await ask('GET', files[0]), 'cache-control'), 'public, max-age=31536000, immutable');
});

test('what is not there, and what is not done', async () => {
  const ask = await load();
  const [file] = filesOf(text(await ask('GET', '/upload')));
  for (const uri of [
    '/upload/', '/upload/x', '/upload/app.js', `${file}x`, `${file}/`, '//upload', '/upload/../url', '/upload/__proto__', '__proto__', 'constructor', '/',
    '/upload/config.json', '/upload/page.json', '/uploads/0123abcd-4567-4890-8abc-def012345678',
  ]) {
    const response = await ask('GET', uri);
    assert.equal(response.status, '404', uri);
    assert.equal(header(response, 'cache-control'), 'no-store');
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'get']) {
    const response = await ask(method, '/upload');
    assert.equal(response.status, '405', method);
    assert.equal(header(response, 'allow'), 'GET, HEAD');
  }
  const off = await load({ page: false });
  assert.equal((await off('GET', '/upload')).status, '404');
});

describe('the owner’s settings', () => {
  const hostile = `"'><script>alert(1)</script>&amp;{{style}}`;
  test('are escaped', async () => {
    const ask = await load({ page: { title: hostile, contact: hostile, privacyUrl: `https://e.example/${hostile}`, logo: `<svg>${hostile}</svg>`, accent: hostile } });
    const page = await ask('GET', '/upload');
    const html = text(page);
    assert.equal(html.match(/<script/g).length, 1, html);
    assert.ok(html.includes('<h1>&#34;&#39;&#62;&#60;script&#62;alert(1)&#60;/script&#62;&#38;amp;{{style}}</h1>'), html);
    assert.ok(html.includes('href="https://e.example/&#34;'), html);
    assert.ok(!/\bon\w+=/.test(html));
    assert.ok(html.includes(':root{--accent:#2457c5;'), 'a colour that is none is left out');
  });
  test('the logo is an image, in which no script runs', async () => {
    const logo = '<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>';
    const html = text(await (await load({ page: { logo } }))('GET', '/upload'));
    assert.ok(html.includes(`<img class="logo" alt="" src="data:image/svg+xml;base64,${Buffer.from(logo).toString('base64')}">`), html);
  });
  test('the largest settings fit into an answer', async () => {
    const page = { title: 'ä'.repeat(60), contact: '"'.repeat(200), logo: `<svg>${'"'.repeat((12 << 10) - 11)}</svg>`, privacyUrl: `https://e.example/${'"'.repeat(230)}`,
      embedBy: Array.from({ length: 10 }, (_, i) => `https://${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.example${i}`) };
    const ask = await load({ page });
    for (const accept of ['', 'gzip', 'br']) assert.ok(size(await ask('GET', '/upload', accept)) < most, `${size(await ask('GET', '/upload', accept))}`);
  });
  test('a contact is a link if it is an address', async () => {
    for (const [contact, want] of [
      ['post@e.example', '<a href="mailto:post@e.example">post@e.example</a>'], ['https://e.example/?a&b', '<a href="https://e.example/?a&#38;b">'],
      ['Room 4, 2nd floor', '<span>Room 4, 2nd floor</span>'], ['javascript:alert(1)', '<span>javascript:alert(1)</span>'],
    ]) assert.ok(text(await (await load({ page: { contact } }))('GET', '/upload')).includes(want), contact);
  });
  test('colours, with text that can be read on them, by the one style that the policy lets in', async () => {
    for (const [accent, on] of [['#ffffff', '#000'], ['#000000', '#fff'], ['#2457c5', '#fff'], ['#FFD400', '#000'], ['#767676', '#000']]) {
      const page = await (await load({ page: { accent } }))('GET', '/upload');
      const style = /<style>(.*)<\/style>/.exec(text(page))[1];
      assert.equal(style, `:root{--accent:${accent};--on-accent:${on}}`);
      assert.equal(directives(page)['style-src'], `'self' 'sha256-${createHash('sha256').update(style).digest('base64')}'`);
    }
  });
  test('who may embed the page', async () => {
    const page = await (await load({ page: { embedBy: ['https://a.example', 'https://b.example:8443'] } }))('GET', '/upload');
    assert.equal(directives(page)['frame-ancestors'], 'https://a.example https://b.example:8443');
  });
  test('no multipart', async () => {
    assert.ok(text(await (await load())('GET', '/upload')).includes('data-multipart="true"'));
    assert.ok(text(await (await load({ multipart: false }))('GET', '/upload')).includes('data-multipart="false"'));
  });
});

test('the page starts no Go program and reads no secret', () => {
  const source = readFileSync(new URL('page.mjs', import.meta.url), 'utf8');
  assert.ok(!/wasm|process\.env|AWS_|fetch|node:http/.test(source.replace(/^\/\/.*$/gm, '')));
});
