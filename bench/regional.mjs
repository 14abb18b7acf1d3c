// Measures what the regional runtime costs: the stub at the edge, compared with the wasm
// there, and the regional Go program. This process plays Lambda's Invoke and the Runtime
// API, at no distance. S3 is the stand-in. Prints a table and writes
// build/bench-regional.json.
//
// The CPU time of the Go program is what the kernel's scheduler counted for all its
// threads. Lambda runs it on arm64, and here it runs on this machine's processor.
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { execFileSync, spawn } from 'node:child_process';
import http from 'node:http';
import { gzipSync } from 'node:zlib';
import { Candidate, S3, out, root } from './lib/process.mjs';
import { column, quantile } from './lib/stats.mjs';

const ROUNDS = Number(process.env.ROUNDS ?? 11);
const WARM = 200;

const started = new Set();
process.on('exit', () => { for (const child of started) child.kill('SIGKILL'); });

// Program is one process of the regional Go program, with its own Runtime API.
class Program {
  #next; #waiting = new Map(); #id = 0; #asked = [];

  async start(job, s3) {
    this.server = http.createServer((request, response) => {
      if (request.method === 'GET') { this.#next?.(); this.#asked.push(response); this.#feed(); return; }
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        response.writeHead(202).end();
        this.#waiting.get(request.url.split('/')[4])?.({ failed: request.url.endsWith('/error'), body: Buffer.concat(chunks) });
      });
    });
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const began = performance.now();
    const ready = new Promise((resolve) => { this.#next = resolve; });
    const directory = `${root}build/local/regional`;
    this.process = spawn(`${directory}/bootstrap`, [], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${this.server.address().port}`, LAMBDA_TASK_ROOT: directory, ONCEGATE_FUNCTION: job,
        AWS_ACCESS_KEY_ID: 'ONCEGATEBENCH', AWS_SECRET_ACCESS_KEY: 'oncegate-bench-secret',
        AWS_SESSION_TOKEN: `IQoJb3JpZ2luX2VjE${'A1b2C3d4/+'.repeat(90)}==`, AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL_S3: s3.http, GOMAXPROCS: '2',
      },
    });
    this.gone = new Promise((resolve) => { this.process.once('exit', resolve); });
    started.add(this.process);
    await ready;
    this.startWall = performance.now() - began;
    this.startCPU = this.cpu();
    return this;
  }

  #queue = [];

  #feed() {
    while (this.#asked.length && this.#queue.length) {
      const { id, payload } = this.#queue.shift();
      this.#asked.shift().writeHead(200, {
        'lambda-runtime-aws-request-id': id, 'lambda-runtime-deadline-ms': String(Date.now() + 5000), 'content-type': 'application/json',
        'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:us-east-1:111122223333:function:bench',
      }).end(payload);
    }
  }

  invoke(payload) {
    const id = String(++this.#id);
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#queue.push({ id, payload });
      this.#feed();
    });
  }

  // cpu returns the CPU time of all threads in milliseconds.
  cpu() {
    const tasks = `/proc/${this.process.pid}/task`;
    return readdirSync(tasks).reduce((sum, task) => sum + Number(readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]), 0) / 1e6;
  }

  memory() {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${this.process.pid}/status`, 'utf8'))[1]) / 1024;
  }

  async end() {
    this.process.kill('SIGKILL');
    await this.gone;
    started.delete(this.process);
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

execFileSync('go', ['build', '-trimpath', '-o', `${out}/standin`, './bench/standin'], { cwd: root, stdio: 'inherit' });
const s3 = await S3.start();
let programs;
const lambda = http.createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', async () => {
    const { failed, body } = await programs[/-(mint|gate)\//.exec(request.url)[1]].invoke(Buffer.concat(chunks));
    response.writeHead(200, { 'content-type': 'application/json', ...failed && { 'x-amz-function-error': 'Unhandled' } }).end(body);
  });
});
await new Promise((resolve) => lambda.listen(0, '127.0.0.1', resolve));
const env = { AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${lambda.address().port}` };
const FILES = { wasm: `${root}build/edge/index.mjs`, stub: `${root}build/stub/index.mjs` };

const rounds = { wasm: [], stub: [], program: [] };
for (let round = 0; round < ROUNDS; round++) {
  programs = { mint: await new Program().start('mint', s3), gate: await new Program().start('gate', s3) };
  for (const name of round % 2 ? ['stub', 'wasm'] : ['wasm', 'stub']) {
    await s3.reset();
    const candidate = new Candidate(name, s3, { file: FILES[name], env });
    const load = await candidate.do('load');
    const before = { mint: programs.mint.cpu(), gate: programs.gate.cpu() };
    const mint = await candidate.do('mint');
    const gate = await candidate.do('gate');
    const first = { mint: programs.mint.cpu() - before.mint, gate: programs.gate.cpu() - before.gate };
    await candidate.do('mint', { n: WARM });
    await candidate.do('gate', { n: WARM });
    const warm = { mint: programs.mint.cpu(), gate: programs.gate.cpu() };
    const mints = await candidate.do('mint', { n: WARM });
    const gates = await candidate.do('gate', { n: WARM });
    const memory = await candidate.do('memory');
    rounds[name].push({
      load: load.cpu, cold: load.cpu + mint.cpu + gate.cpu, mint: mints.cpu / WARM, gate: gates.cpu / WARM, memory: memory.peak / 2 ** 20,
    });
    if (name === 'stub') {
      rounds.program.push({
        load: programs.gate.startCPU, startWall: programs.gate.startWall, cold: programs.gate.startCPU + programs.mint.startCPU + first.mint + first.gate,
        mint: (programs.mint.cpu() - warm.mint) / WARM, gate: (programs.gate.cpu() - warm.gate) / WARM, memory: programs.gate.memory(),
      });
    }
    await candidate.end();
  }
  await Promise.all(Object.values(programs).map((program) => program.end()));
}
await s3.end();
lambda.closeAllConnections();
lambda.close();

// The approximate size of a zip file, because gzip and zip both deflate.
const weight = (files) => files.reduce((sum, file) => sum + gzipSync(readFileSync(`${root}build/${file}`)).length, 0);
const zip = {
  wasm: weight(['edge/index.mjs', 'edge/oncegate.wasm', 'edge/oncegate-jwt.wasm', 'edge/wasm_exec.js']),
  stub: weight(['stub/index.mjs', 'stub/settings.json']),
  program: weight(['regional/bootstrap']),
};
const bytes = { stub: statSync(`${root}build/stub/index.mjs`).size, program: statSync(`${root}build/regional/bootstrap`).size };

const cell = (name, figure) => [0.25, 0.5, 0.75].map((q) => quantile(column(rounds[name], figure), q));
const shown = ([low, median, high]) => `${median.toFixed(2)} [${low.toFixed(2)} ${high.toFixed(2)}]`;
const ratio = (figure) => quantile(rounds.stub.map((r, i) => r[figure] / rounds.wasm[i][figure]), 0.5).toFixed(2);
console.log(`medians [quartiles] of ${ROUNDS} rounds, CPU milliseconds unless stated otherwise\n`);
console.log('| | wasm at the edge | stub at the edge | stub ÷ wasm | regional Go program |\n|---|---|---|---|---|');
for (const [figure, title] of [['load', 'load'], ['cold', 'load, first mint, first gate'], ['mint', 'warm mint'], ['gate', 'warm gate'], ['memory', 'peak memory, MB']]) {
  console.log(`| ${title} | ${shown(cell('wasm', figure))} | ${shown(cell('stub', figure))} | ${ratio(figure)} | ${shown(cell('program', figure))} |`);
}
console.log(`| zip, KB | ${(zip.wasm / 1024).toFixed(0)} | ${(zip.stub / 1024).toFixed(1)} | | ${(zip.program / 1024).toFixed(0)} |`);
console.log(`\nthe Go program is ready ${shown(cell('program', 'startWall'))} ms after its start`);
writeFileSync(`${root}build/bench-regional.json`, `${JSON.stringify({ rounds, zip, bytes }, null, 1)}\n`);
process.exit(0);
