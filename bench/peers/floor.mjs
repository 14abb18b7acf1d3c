// Peer B, the floor: the work of oncegate, request for request and answer for answer,
// written by hand in JavaScript with Node alone. It has no SDK, no WebAssembly, no repeats,
// no read-back and no table of refusals: a request passes or is refused. Nobody should
// deploy it.
//
// Node's own modules are loaded with getBuiltinModule. An import statement reads every
// getter of the module, and those of http load a second HTTP client, some 20 ms of CPU.
const [{ createHash, createHmac, randomBytes, randomUUID }, { readFileSync }] = ['node:crypto', 'node:fs'].map(process.getBuiltinModule);

const { bucket, region = 'us-east-1', expires = 900 } = JSON.parse(readFileSync(new URL('config.json', import.meta.url), 'utf8'));
const host = `${bucket}.s3.${region}.amazonaws.com`;
const endpoint = new URL(process.env.AWS_ENDPOINT_URL_S3 ?? `https://${host}`);
const base = process.env.AWS_ENDPOINT_URL_S3 ? `/${bucket}` : '';
const { request: open, Agent } = process.getBuiltinModule(`node:${endpoint.protocol.slice(0, -1)}`);
const agent = new Agent({ keepAlive: true, scheduling: 'lifo' });
const { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey, AWS_SESSION_TOKEN: token } = process.env;

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
const amzDate = () => new Date().toISOString().replace(/[:-]|\.\d{3}/g, '');

let derived = { day: '' };
const roleKey = (day) => (derived.day === day ? derived : derived = {
  day, key: hmac(hmac(hmac(hmac(`AWS4${secretKey}`, day), region), 's3'), 'aws4_request'),
}).key;

const sign = (key, date, canonical) => createHmac('sha256', key)
  .update(`AWS4-HMAC-SHA256\n${date}\n${date.slice(0, 8)}/${region}/s3/aws4_request\n${sha256(canonical)}`).digest('hex');

function presign(date, life, path) {
  const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${accessKey}%2F${date.slice(0, 8)}%2F${region}%2Fs3%2Faws4_request`
    + `&X-Amz-Date=${date}&X-Amz-Expires=${life}${token ? `&X-Amz-Security-Token=${encodeURIComponent(token)}` : ''}`
    + '&X-Amz-SignedHeaders=host&x-id=PutObject';
  return `${query}&X-Amz-Signature=${sign(roleKey(date.slice(0, 8)), date, `PUT\n${path}\n${query}\nhost:${host}\n\nhost\nUNSIGNED-PAYLOAD`)}`;
}

function send(method, key, body = '', extra = {}) {
  const date = amzDate();
  const path = `${base}/${key}`;
  const hash = sha256(body);
  const headers = { host: endpoint.host, ...extra, 'x-amz-content-sha256': hash, 'x-amz-date': date };
  if (body) headers['content-length'] = Buffer.byteLength(body);
  if (token) headers['x-amz-security-token'] = token;
  const names = Object.keys(headers).sort();
  const signed = names.join(';');
  const canonical = `${method}\n${path}\n\n${names.map((n) => `${n}:${headers[n]}\n`).join('')}\n${signed}\n${hash}`;
  const day = date.slice(0, 8);
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${accessKey}/${day}/${region}/s3/aws4_request, SignedHeaders=${signed}, Signature=${sign(roleKey(day), date, canonical)}`;
  return new Promise((resolve, reject) => {
    const request = open({ agent, hostname: endpoint.hostname, port: endpoint.port, method, path, headers, timeout: 5000 }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() }));
    });
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
    request.end(body);
  });
}

const log = (line) => process.stdout.write(`${JSON.stringify({ timestamp: new Date(), level: 'INFO', ...line })}\n`);

function answer(status, statusDescription, body) {
  return {
    status,
    statusDescription,
    headers: { 'cache-control': [{ value: 'no-store' }], 'content-type': [{ value: 'text/plain; charset=utf-8' }] },
    body,
  };
}

export async function mint(event) {
  const { request, config } = event.Records[0].cf;
  if (request.uri !== '/url' || request.method !== 'GET' || request.querystring) return answer('403', 'Forbidden', 'Forbidden');
  const key = `uploads/${randomUUID()}`;
  const date = amzDate();
  const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=oncegate%2F${date.slice(0, 8)}%2F${region}%2Fs3%2Faws4_request`
    + `&X-Amz-Date=${date}&X-Amz-Expires=${expires}&X-Amz-SignedHeaders=host&x-id=PutObject&X-Amz-Signature=${randomBytes(32).toString('hex')}`;
  const hash = sha256(`/${key}?${query}`);
  const now = Math.floor(Date.now() / 1000) * 1000;
  const entry = { version: 1, created: new Date(now), expires: new Date(now + expires * 1000), key, limits: {} };
  const { status } = await send('PUT', `signatures/valid/${hash}`, JSON.stringify(entry), { 'content-type': 'application/json' });
  if (status !== 200) return answer('503', 'Service Unavailable', 'Service Unavailable');
  log({ message: 'minted', id: hash, key, request: config.requestId });
  return answer('200', 'OK', `https://${request.headers.host[0].value}/${key}?${query}`);
}

const PATH = /^\/uploads\/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const QUERY = new RegExp(`^X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=oncegate%2F\\d{8}%2F${region}%2Fs3%2Faws4_request&X-Amz-Date=(\\d{4})(\\d\\d)(\\d\\d)T(\\d\\d)(\\d\\d)(\\d\\d)Z&X-Amz-Expires=([1-9]\\d{0,5})&X-Amz-SignedHeaders=host&x-id=PutObject&X-Amz-Signature=[0-9a-f]{64}$`);
const MAX_BYTES = 5 * 2 ** 30;

export async function gate(event) {
  const { request, config } = event.Records[0].cf;
  const refusal = answer('403', 'Forbidden', 'Forbidden');
  const { headers } = request;
  const query = QUERY.exec(request.querystring);
  const length = headers['content-length']?.[0]?.value;
  if (request.method !== 'PUT' || !PATH.test(request.uri) || !query || !/^\d+$/.test(length) || length > MAX_BYTES
    || headers['content-length'].length > 1 || headers['transfer-encoding'] || headers['x-amz-copy-source']) return refusal;
  const [, year, month, day, hour, minute, second, life] = query;
  if (Date.UTC(year, month - 1, day, hour, minute, second) + life * 1000 <= Date.now()) return refusal;

  const hash = sha256(`${request.uri}?${request.querystring}`);
  const key = request.uri.slice(1);
  const [valid, expired] = await Promise.all([send('GET', `signatures/valid/${hash}`), send('HEAD', `signatures/expired/${hash}`)]);
  if (valid.status !== 200 || expired.status !== 404 || expired.headers['x-amz-delete-marker']) return refusal;
  const entry = JSON.parse(valid.body);
  if (entry.version !== 1 || entry.key !== key) return refusal;

  const claim = { version: 1, reason: 'used', at: new Date(), nonce: randomBytes(16).toString('hex'), request: config.requestId };
  const { status } = await send('PUT', `signatures/expired/${hash}`, JSON.stringify(claim), {
    'content-type': 'application/json', 'if-none-match': '*', 'x-amz-meta-oncegate-reason': 'used',
  });
  if (status !== 200) return refusal;
  const date = amzDate();
  request.querystring = presign(date, 60, request.uri);
  for (const name of Object.keys(headers)) {
    if (name === 'authorization' || name.startsWith('x-amz-') || name === 'if-none-match') delete headers[name];
  }
  log({ message: 'passed', id: hash, key, request: config.requestId });
  return request;
}
