// Starts candidates (worker.mjs in the Node that is deployed) and S3 servers (the command
// standin).
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const out = `${root}build/bench`;
mkdirSync(out, { recursive: true });

// Candidates run in the Node that runs this, so start it with the deployed one.
export const node = process.execPath;

// Those that are compared, and where their code is. table is ours with the other index.
export const CANDIDATES = { ours: `${root}build/edge/index.mjs`, table: `${out}/table/index.mjs`, sdk: `${out}/sdk/index.cjs`, floor: `${out}/floor/index.mjs` };
export const NAMES = Object.keys(CANDIDATES);

// The heap limits with which Lambda starts Node in a function of 128 MB: a tenth for the
// young generation's two halves, the rest for the old one. The runtime was seen to do so.
// AWS does not document it.
const HEAP = ['--max-semi-space-size=6', '--max-old-space-size=116'];

const children = new Set();
process.on('exit', () => { for (const child of children) child.kill('SIGKILL'); });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

function start(command, args, options) {
  const child = spawn(command, args, options);
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

// Lambda gives a function a role's temporary credentials, whose session token is about
// this long. versitygw knows one operator, without a token.
function environment(s3, more) {
  return {
    AWS_ACCESS_KEY_ID: 'ONCEGATEBENCH',
    AWS_SECRET_ACCESS_KEY: 'oncegate-bench-secret',
    ...!s3.real && { AWS_SESSION_TOKEN: `IQoJb3JpZ2luX2VjE${'A1b2C3d4/+'.repeat(90)}==` },
    AWS_REGION: 'us-east-1',
    AWS_ENDPOINT_URL_S3: s3.http,
    AWS_ENDPOINT_URL_DYNAMODB: s3.http,
    AWS_LAMBDA_FUNCTION_NAME: 'us-east-1.oncegate-bench',
    LANG: 'en_US.UTF-8',
    TZ: ':UTC',
    ...more,
  };
}

// Candidate is a running process. Each method returns when the answer is there.
export class Candidate {
  #answers;

  // options: env is added to the environment, nodeFlags go to Node, wrap changes the
  // command line (for limits).
  constructor(name, s3, { env, nodeFlags = [], wrap = (line) => line, file = CANDIDATES[name] } = {}) {
    this.name = name;
    const [command, ...args] = wrap([node, ...HEAP, ...nodeFlags, `${root}bench/worker.mjs`, file]);
    this.process = start(command, args, { env: environment(s3, env), stdio: ['ignore', 'ignore', 'inherit', 'pipe'] });
    this.gone = new Promise((resolve) => { this.process.once('exit', (code, signal) => resolve(signal ?? code)); });
    this.#answers = createInterface({ input: this.process.stdio[3] })[Symbol.asyncIterator]();
  }

  async do(command, options = {}) {
    this.process.stdio[3].write(`${JSON.stringify({ do: command, ...options })}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`${this.name}: ended (${await this.gone}) instead of answering to ${command}`);
    const answer = JSON.parse(value);
    if (answer.error) throw new Error(`${this.name}: ${command}: ${answer.error}`);
    return answer;
  }

  async end() {
    this.process.stdio[3].end();
    await this.gone;
  }
}

// S3 is a running server: the stand-in or, with real, the local S3 server.
export class S3 {
  static async start(...args) {
    const s3 = new S3();
    s3.real = args.includes('-versitygw');
    s3.process = start(`${out}/standin`, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, GOMAXPROCS: s3.real ? '2' : '1' } });
    const lines = createInterface({ input: s3.process.stdout })[Symbol.asyncIterator]();
    const { value, done } = await lines.next();
    if (done) throw new Error('the S3 server did not start');
    return Object.assign(s3, JSON.parse(value));
  }

  async reset({ delay = 0, fill = 0 } = {}) {
    const answer = await fetch(`${this.control}/reset?delay=${delay}ms&fill=${fill}`, { method: 'POST' });
    if (!answer.ok) throw new Error(`S3 server: ${await answer.text()}`);
  }

  async counts() {
    return (await fetch(`${this.control}/counts`)).json();
  }

  async end() {
    this.process.stdin.end();
    await new Promise((resolve) => { this.process.once('exit', resolve); });
  }
}

// everyone starts one process of each candidate, and loads and warms it. The real S3 server has
// no table beside it.
export async function everyone(s3, { warmup = 0, ...options } = {}) {
  const all = NAMES.filter((name) => !s3.real || name !== 'table').map((name) => new Candidate(name, s3, options));
  for (const candidate of all) {
    await candidate.do('load');
    await candidate.do('once');
    if (warmup) {
      await candidate.do('mint', { n: warmup });
      await candidate.do('gate', { n: warmup });
    }
  }
  return all;
}

// turns returns each round's order. Each candidate is first equally often, so that drift
// affects all of them alike.
export function* turns(rounds, all) {
  for (let i = 0; i < rounds; i++) yield all.map((_, j) => all[(i + j) % all.length]);
}
