// What the tests of the Node handler share: events, contexts, artifacts in folders of
// their own, and a small S3 that does what a test tells it, errors of the socket included.
// The Go tests use a real S3 server.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const artifact = fileURLToPath(new URL('../../build/edge/', import.meta.url));
export const loader = readFileSync(`${artifact}wasm_exec.js`, 'utf8');

// event is a viewer-request event after AWS's documented sample.
export function event(method, uri, { querystring = '', headers = {}, requestId = 'request-1' } = {}) {
  return {
    Records: [{
      cf: {
        config: {
          distributionDomainName: 'd111111abcdef8.cloudfront.net',
          distributionId: 'EDFDVBD6EXAMPLE',
          eventType: 'viewer-request',
          requestId,
        },
        request: {
          clientIp: '203.0.113.178',
          headers: {
            host: [{ key: 'Host', value: 'd111111abcdef8.cloudfront.net' }],
            'user-agent': [{ key: 'User-Agent', value: 'curl/7.66.0' }],
            ...headers,
          },
          method,
          querystring,
          uri,
        },
      },
    }],
  };
}

export function putEvent(url, headers = {}) {
  const { pathname, search } = new URL(url);
  return event('PUT', pathname, {
    querystring: search.slice(1),
    headers: { 'content-length': [{ key: 'Content-Length', value: '5' }], ...headers },
  });
}

export function context(ms = 5000) {
  const end = Date.now() + ms;
  return { getRemainingTimeInMillis: () => end - Date.now() };
}

export const reasonOf = (response) => response?.headers?.['x-oncegate-reason']?.[0]?.value;

// pausesOf runs work and returns the lengths of its pauses before second tries, in ms. The time
// limits of requests are timers too, but none of them is so short.
export async function pausesOf(work) {
  const timers = [];
  const { setTimeout } = globalThis;
  globalThis.setTimeout = (fn, ms, ...rest) => { timers.push(ms); return setTimeout(fn, ms, ...rest); };
  try {
    await work();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  return timers.filter((ms) => ms < 150);
}

// tempDir makes a folder that is removed when all tests of the file are over. A copy of the
// artifact reads its files again when it restarts, so they must stay until then.
export function tempDir() {
  const dir = mkdtempSync(path.join(tmpdir(), 'oncegate-node-'));
  dirs.push(dir);
  return dir;
}
const dirs = [];
process.on('exit', () => { for (const dir of dirs) rmSync(dir, { recursive: true, force: true }); });

// load imports a fresh copy of the artifact, with the files named in replace put
// in place of its own.
export async function load(endpoint, replace = {}) {
  const dir = tempDir();
  await cp(artifact, dir, { recursive: true });
  for (const [name, file] of Object.entries(replace)) await cp(file, path.join(dir, name));
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'a-secret-that-must-not-appear',
    AWS_SESSION_TOKEN: 'a-session-token',
    AWS_REGION: 'ap-southeast-2', // never the bucket's
    AWS_ENDPOINT_URL_S3: endpoint,
  });
  return import(path.join(dir, 'index.mjs'));
}

// S3 keeps objects of one bucket in memory. behave, when set, sees each request
// first and may answer or destroy it itself by returning true.
export class S3 {
  objects = new Map();
  requests = [];
  connections = 0;
  behave = null;

  async start() {
    this.server = http.createServer((request, response) => {
      this.requests.push(`${request.method} ${request.url.split('/').slice(2, 4).join('/')}`);
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks);
        if (!this.behave?.(request, response, body)) this.answer(request, response, body);
      });
    });
    this.server.on('connection', () => { this.connections++; });
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  answer(request, response, body) {
    const key = request.url.split('?')[0];
    const found = this.objects.get(key);
    if (request.method === 'PUT') {
      if (found && request.headers['if-none-match'] === '*') return response.writeHead(412).end();
      this.objects.set(key, { body, headers: request.headers });
      return response.writeHead(200, { 'x-amz-version-id': String(this.objects.size) }).end();
    }
    if (!found) return response.writeHead(404).end();
    const reason = found.headers['x-amz-meta-oncegate-reason'];
    response.writeHead(200, { 'x-amz-version-id': 'made-up', ...(reason && { 'x-amz-meta-oncegate-reason': reason }) });
    response.end(request.method === 'HEAD' ? undefined : found.body);
  }

  has = (prefix) => [...this.objects.keys()].some((key) => key.includes(prefix));

  stop() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
