// Measures what a full index costs: mint and gate with 0, 10,000 and 100,000 entries, and
// the memory of `oncegate list`, on the real S3 server. Three servers run at once, each with
// its own number of entries. They take turns within each round, so whatever slows the
// machine slows all of them. Prints ratios to the empty index.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Candidate, S3, out, root, turns } from './lib/process.mjs';
import { column, ratio, summary } from './lib/stats.mjs';

const FILLS = [0, 10_000, 100_000];
const ROUNDS = Number(process.env.ROUNDS ?? 15);
const BATCH = 20;
const BUCKET = 'oncegate-placeholder';

const say = (text) => process.stdout.write(`${text}\n`);
const shown = ({ median, q1, q3 }) => `${median} [${q1} ${q3}]`;

execFileSync('go', ['build', '-trimpath', '-o', `${out}/standin`, './bench/standin'], { cwd: root, stdio: 'inherit' });
const dir = mkdtempSync(path.join(os.tmpdir(), 'oncegate-bench-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }));

const all = [];
for (const fill of FILLS) {
  const s3 = await S3.start('-versitygw', `${root}build/tools/versitygw`, '-dir', path.join(dir, String(fill)), '-bucket', BUCKET);
  const began = performance.now();
  await s3.reset({ fill });
  process.stderr.write(`  ${fill} entries: ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
  const ours = new Candidate('ours', s3);
  await ours.do('load');
  await ours.do('once');
  for (const step of ['mint', 'gate']) await ours.do(step, { n: BATCH });
  all.push({ fill, s3, ours, rounds: [] });
}

for (const order of turns(ROUNDS, all)) {
  for (const { ours, rounds } of order) {
    const [mint, gate] = [await ours.do('mint', { n: BATCH }), await ours.do('gate', { n: BATCH })];
    rounds.push({ mintWall: mint.wall / BATCH, gateWall: gate.wall / BATCH, mintCPU: mint.cpu / BATCH, gateCPU: gate.cpu / BATCH });
  }
}
say(`versitygw, ${ROUNDS} rounds of ${BATCH}; median [quartiles], ms and times the empty index\n`);
for (const figure of ['mintWall', 'gateWall', 'mintCPU', 'gateCPU']) {
  const empty = column(all[0].rounds, figure);
  say(`${figure}: ${all.map(({ fill, rounds }) => {
    const values = column(rounds, figure);
    return `${fill}: ${shown(summary(values))}${fill ? `, x ${shown(ratio(values, empty))}` : ''}`;
  }).join('; ')}`);
}

// list runs `oncegate list` over every entry and returns its peak memory.
async function list(s3, ...flags) {
  const child = spawn(`${root}bin/oncegate`, ['list', '--json', '--config', `${root}build/edge/config.json`, ...flags], {
    env: { AWS_ACCESS_KEY_ID: 'ONCEGATEBENCH', AWS_SECRET_ACCESS_KEY: 'oncegate-bench-secret', AWS_ENDPOINT_URL_S3: s3.http, ONCEGATE_BUCKET: BUCKET },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const began = performance.now();
  let [lines, first, peak] = [0, 0, 0];
  const look = () => {
    try {
      peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? peak);
    } catch { /* it has just ended */ }
  };
  const timer = setInterval(look, 20);
  child.stdout.on('data', (chunk) => {
    first ||= performance.now() - began;
    for (const byte of chunk) if (byte === 10) lines++;
    look();
  });
  const code = await new Promise((resolve) => { child.once('close', resolve); });
  clearInterval(timer);
  if (code !== 0) throw new Error(`oncegate list ended with ${code}`);
  return { lines, peak: Number((peak / 1024).toFixed(1)), first: Math.round(first), seconds: Number(((performance.now() - began) / 1000).toFixed(1)) };
}

say('');
for (const { fill, s3 } of all) {
  for (const flags of [['--brief'], []]) {
    const { lines, peak, first, seconds } = await list(s3, ...flags);
    say(`oncegate list ${flags.join(' ')} beside ${fill}: ${lines} URLs in ${seconds} s, the first after ${first} ms, at most ${peak} MB (VmHWM)`);
  }
}
for (const { s3, ours } of all) {
  await ours.end();
  await s3.end();
}
