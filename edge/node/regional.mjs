// The Lambda handlers of oncegate with the regional runtime. Each sends its event to a
// regional function (edge/regional) and does what that answers. Nothing is decided here.
// Every path that does not end in a clear answer of the regional function is a refusal.
//
// settings.json, in the same folder, has the Region of the functions and their names.

// Node's modules are loaded with V8's flags at their defaults; see index.mjs.
const v8 = process.getBuiltinModule('node:v8');
for (const flag of ['--max-semi-space-size=0', '--max-old-space-size=0', '--no-expose-gc']) v8.setFlagsFromString(flag);
const { readFileSync } = process.getBuiltinModule('node:fs');
const { createHash, createHmac, randomBytes } = process.getBuiltinModule('node:crypto');

const { region, functions } = JSON.parse(readFileSync(new URL('settings.json', import.meta.url), 'utf8'));

// The local edge sets this variable to where it plays Lambda. The real edge has none.
const endpoint = new URL(process.env.AWS_ENDPOINT_URL_LAMBDA ?? `https://lambda.${region}.amazonaws.com`);
const transport = process.getBuiltinModule(endpoint.protocol === 'https:' ? 'node:https' : 'node:http');
const agent = new transport.Agent({ keepAlive: true, scheduling: 'lifo' });

// The first is time that is kept for handing the answer over. The second is what the answer
// of the regional function may take on its way: half the longest round trip between two
// Regions, and some more.
const ANSWER_RESERVE_MS = 100;
const WAY_BACK_MS = 300;

// A second try begins only if there is time for everything that the gate does.
const LEAST_MS = 1500;

// The pause before a second try. There is none after a dead connection, because a new one
// can be used at once.
const PAUSE_MS = 100;

// A socket that has been idle for longer is not used again; see index.mjs.
const IDLE_MS = 15_000;

// Far above the 40 KB that CloudFront takes from a function.
const MAX_ANSWER_BYTES = 1 << 20;

// The texts are those of the regional function; a test compares them.
const refusals = {
  'index-unavailable': 'the index gave no clear answer and nothing was spent; try the same request again.',
  'claim-unknown': 'the upload did not go through and its URL may be spent; get a new one.',
  internal: 'this request could not be handled; get a new URL, and tell the operator if it fails again.',
};

function refuse(reason) {
  return {
    status: '503',
    statusDescription: 'Service Unavailable',
    headers: {
      'cache-control': [{ value: 'no-store' }],
      'content-type': [{ value: 'text/plain; charset=utf-8' }],
      'x-amz-error-code': [{ value: reason }],
      'x-oncegate-reason': [{ value: reason }],
      ...(reason === 'index-unavailable' && { 'retry-after': [{ value: '1' }] }),
    },
    body: `Service Unavailable: ${refusals[reason]}`,
  };
}

// Failure says why there is no answer, whether the regional function may have run, whether
// a second try may help, and after what pause.
class Failure extends Error {
  constructor(message, { ran = true, again = false, pauseMs = 0 } = {}) {
    super(message);
    Object.assign(this, { ran, again, pauseMs });
  }
}

async function handle(name, event, context) {
  try {
    return await decide(name, event, context);
  } catch (error) {
    log(name, event, error);
    return refuse('internal');
  }
}

async function decide(name, event, context) {
  const nonce = randomBytes(16).toString('hex');
  let ran = false; // perhaps
  for (let repeated = false; ; repeated = true) {
    const limitMs = Math.floor(context.getRemainingTimeInMillis() - ANSWER_RESERVE_MS);
    const payload = JSON.stringify({ nonce, repeated, remainingMs: Math.max(0, limitMs - WAY_BACK_MS), event });
    try {
      return apply(event, await invoke(name, payload, limitMs));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log(name, event, error);
      ran ||= error.ran;
      if (repeated || !error.again || context.getRemainingTimeInMillis() - error.pauseMs < LEAST_MS) break;
      await new Promise((resolve) => setTimeout(resolve, error.pauseMs * (0.5 + Math.random())));
    }
  }
  // If a mint ran and its answer is lost, nobody has its URL, so nothing was spent.
  return refuse(ran && name === 'gate' ? 'claim-unknown' : 'index-unavailable');
}

// log writes a line in the form that the regional function uses. It holds no payload and no
// answer. It does not use the console: with JSON logs Lambda's console puts a line into a
// field of another object, where no filter on message finds it.
// https://docs.aws.amazon.com/lambda/latest/dg/nodejs-logging.html
function log(name, event, error) {
  const line = { timestamp: new Date().toISOString(), level: 'ERROR', message: 'no answer of the regional function', function: name, error: error.message, request: event?.Records?.[0]?.cf?.config?.requestId };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

// apply turns the regional function's result into what CloudFront wants. That is a response,
// or the request that CloudFront handed in, changed only as the result says. CloudFront
// answers 502 if a read-only header comes back altered or is missing.
function apply(event, result) {
  if (result?.response?.status) return compressed(result.response);
  if (!result?.forward?.querystring) throw new Failure('the answer is no result');
  const request = event.Records[0].cf.request;
  const { querystring, drop = [], set = {} } = result.forward;
  for (const header of drop) delete request.headers[header];
  return { ...request, querystring, headers: { ...request.headers, ...set } };
}

// compressed does what the regional function says of an answer that is too long as it is.
function compressed(response) {
  if (response.headers?.['content-encoding']?.[0].value !== 'gzip') return response;
  const { gzipSync } = process.getBuiltinModule('node:zlib');
  return { ...response, body: gzipSync(response.body).toString('base64'), bodyEncoding: 'base64' };
}

// invoke runs a regional function by Lambda's Invoke. Unlike a function URL, that needs one
// permission for one function, and no address on the internet leads to the function.
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
function invoke(name, payload, limitMs) {
  const path = `/2015-03-31/functions/${functions[name]}/invocations`;
  const request = transport.request({
    agent: connections(), method: 'POST', hostname: endpoint.hostname, port: endpoint.port, path,
    headers: { ...sign(path, payload), 'content-length': Buffer.byteLength(payload), 'content-type': 'application/json' },
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      fail(`no answer within ${limitMs} ms`); // a request that was destroyed before tells nobody
      request.destroy();
    }, limitMs);
    let answered = false;
    const fail = (message, how) => {
      clearTimeout(timer);
      reject(new Failure(message, how));
    };
    // After a 101, say, Node ends the request with neither an error nor a response.
    request.on('close', () => answered || fail('the connection ended without an answer'));
    request.on('error', (error) => {
      dropIdle(); // the other idle connections are older and probably dead as well
      const dead = request.reusedSocket && DEAD.has(error.code);
      const unsent = NEVER_SENT.has(error.code);
      fail(error.message, { ran: !unsent, again: dead || unsent, pauseMs: dead ? 0 : PAUSE_MS });
    });
    request.on('response', (response) => {
      answered = true;
      const chunks = [];
      let size = 0;
      response.on('data', (chunk) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) request.destroy(new Error('answer too large'));
      });
      response.on('error', () => {}); // its close follows
      response.on('close', () => {
        const { statusCode: status, headers } = response;
        if (!response.complete) return fail('answer cut short');
        if (status === 429) return fail('throttled', { ran: false, again: true, pauseMs: PAUSE_MS });
        if (status >= 500) return fail(`status ${status}`, { again: true, pauseMs: PAUSE_MS });
        if (status !== 200) return fail(`status ${status}: ${headers['x-amzn-errortype']}`, { ran: false });
        if (headers['x-amz-function-error']) return fail(`function error: ${headers['x-amz-function-error']}`);
        clearTimeout(timer);
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()));
        } catch {
          fail('the answer is no JSON');
        }
      });
    });
    request.end(payload);
  });
}

// The errors of a reused connection that the other side has closed, and of a connection
// that was never made.
const DEAD = new Set(['ECONNRESET', 'EPIPE']);
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

let lastUse = 0;

function connections() {
  const now = Date.now();
  if (now - lastUse > IDLE_MS) dropIdle();
  lastUse = now;
  return agent;
}

function dropIdle() {
  for (const sockets of Object.values(agent.freeSockets)) {
    for (const socket of [...sockets]) socket.destroy();
  }
}

const hash = (text) => createHash('sha256').update(text).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();

// The signing key is for one day and one set of credentials. A container has the same
// credentials as long as it lives.
let signingKey = { day: '', key: undefined };

// sign is Signature Version 4 with header authentication:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
function sign(path, payload) {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, AWS_SESSION_TOKEN: token } = process.env;
  const time = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '');
  const day = time.slice(0, 8);
  const scope = `${day}/${region}/lambda/aws4_request`;
  if (signingKey.day !== day) {
    signingKey = { day, key: ['lambda', 'aws4_request'].reduce(hmac, hmac(hmac(`AWS4${secret}`, day), region)) };
  }
  const headers = { host: endpoint.host, 'x-amz-date': time, ...(token && { 'x-amz-security-token': token }) };
  const names = Object.keys(headers).join(';');
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`).join('');
  const canonical = `POST\n${path}\n\n${lines}\n${names}\n${hash(payload)}`;
  const signature = createHmac('sha256', signingKey.key).update(`AWS4-HMAC-SHA256\n${time}\n${scope}\n${hash(canonical)}`).digest('hex');
  return { ...headers, authorization: `AWS4-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${names}, Signature=${signature}` };
}

export const mint = (event, context) => handle('mint', event, context);
export const gate = (event, context) => handle('gate', event, context);
