// A deployment of one URL in memory, which faults can be put in front of. The real one is
// behind the tests in internal/evidence/clients; this one is for what only a script can do.

import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

export const MiB = 2 ** 20;
const md5 = (bytes) => createHash('md5').update(bytes).digest();

/**
 * fault(request, n) is asked before the nth request of its kind ("PUT 2", "POST complete"):
 * 'drop' breaks it off with nothing applied, 'lose' applies it and gives no answer, an object
 * {status, reason, headers, body, applied} answers so; anything else lets it be.
 */
export async function deployment(t, { fault = () => {}, partBytes = 8 * MiB, maxParts = 1000, etag = (bytes) => md5(bytes).toString('hex') } = {}) {
  const state = { etag, parts: new Map(), object: undefined, spentBy: '', seen: [], types: [] };
  const server = createServer(async (request, response) => {
    const query = new URL(request.url, 'http://x').searchParams;
    const op = ['uploads', 'parts', 'complete', 'partNumber'].find((name) => query.has(name)) ?? '';
    const kind = `${request.method} ${query.get('partNumber') ?? op}`.trim();
    state.seen.push(kind);
    const what = fault(kind, state.seen.filter((k) => k === kind).length);
    if (what === 'drop') return request.socket.destroy();
    const body = [];
    try {
      for await (const chunk of request) body.push(chunk);
    } catch {
      return; // the client stopped
    }
    let answer;
    if (!what?.status || what.applied) answer = handle(state, request, query, op, Buffer.concat(body));
    if (what?.status) answer = refuse(what.status, what.reason, what.headers);
    if (what?.body) answer.body = what.body;
    if (what === 'lose') return request.socket.destroy();
    response.writeHead(answer.status, answer.headers);
    response.end(answer.body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close() && server.closeAllConnections());
  state.url = `http://127.0.0.1:${server.address().port}/uploads/x?X-Amz-Signature=0`;
  state.plan = { id: 'f'.repeat(64), partBytes, maxParts };
  return state;
}

const json = (value, headers) => ({ status: 200, headers, body: JSON.stringify(value) });
const refuse = (status, reason, headers = {}) => ({
  status,
  headers: { ...headers, ...(reason && { 'x-oncegate-reason': reason }) },
  body: JSON.stringify({ status, reason, message: `Refused: ${reason}.` }),
});

function handle(state, request, query, op, body) {
  const parts = [...state.parts].sort(([a], [b]) => a - b);
  const spent = state.spentBy && refuse(403, 'used');
  switch (`${request.method} ${op}`) {
    case 'POST uploads':
      state.types.push(request.headers['content-type']);
      return spent || json(state.plan);
    case 'PUT partNumber':
      if (spent) return spent;
      if (request.headers['content-md5'] !== md5(body).toString('base64')) return { status: 400, body: '<Code>BadDigest</Code>' };
      state.parts.set(Number(query.get('partNumber')), body);
      return { status: 200, headers: { etag: `"${state.etag(body)}"` } };
    case 'GET parts': {
      if (state.spentBy === 'put') return spent;
      const rest = parts.filter(([number]) => number > Number(query.get('after') ?? 0));
      const page = rest.slice(0, 2).map(([number, bytes]) => ({ number, size: bytes.length, etag: state.etag(bytes) }));
      return json({ id: state.plan.id, parts: page, ...(rest.length > 2 && { next: page[1].number }) });
    }
    case 'POST complete': {
      if (state.spentBy === 'put') return spent;
      const named = parts.map(([, bytes]) => state.etag(bytes)).map((tag) => Buffer.from(tag, /^[0-9a-f]{32}$/.test(tag) ? 'hex' : 'utf8'));
      const etag = `${md5(Buffer.concat(named)).toString('hex')}-${parts.length}`;
      if (query.get('etag') !== etag) return refuse(409, 'incomplete');
      state.spentBy = 'complete';
      state.object = Buffer.concat(parts.map(([, bytes]) => bytes));
      return json({ id: state.plan.id, stored: true, size: state.object.length, etag, parts: parts.length });
    }
    case 'PUT ':
      if (spent) return spent;
      state.spentBy = 'put';
      state.types.push(request.headers['content-type']);
      state.object = body;
      return { status: 200, headers: { etag: `"${md5(body).toString('hex')}"` } };
    case 'DELETE ':
      state.spentBy = 'revoked';
      state.parts.clear();
      return json({ id: state.plan.id, state: 'revoked' });
  }
  return refuse(403, 'method');
}
