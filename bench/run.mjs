// Measures oncegate against peers A and B, prints the table and writes build/bench.json.
// See README.md in this folder. With --quick there are fewer rounds, and only the goals.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { build, goBenchmarks, sizes } from './lib/build.mjs';
import { S3, out, root } from './lib/process.mjs';
import { figureTable, goalTable, goals } from './lib/report.mjs';
import * as scenarios from './lib/scenarios.mjs';

const quick = process.argv.includes('--quick');
const began = Date.now();
const MB = 1e6;

const say = (text) => process.stdout.write(`${text}\n`);
async function step(what, work) {
  const start = Date.now();
  const result = await work();
  process.stderr.write(`  ${what}: ${((Date.now() - start) / 1000).toFixed(1)} s\n`);
  return result;
}

const machine = {
  cpu: os.cpus()[0].model, cores: os.cpus().length, memoryGB: Math.round(os.totalmem() / 2 ** 30),
  system: `${os.type()} ${os.release()} ${os.arch()}`, node: process.version,
  date: new Date().toISOString(), loadBefore: Number(os.loadavg()[0].toFixed(2)),
};
const data = { quick, machine };

await step('build', build);
const cert = path.join(out, 'cert.pem');
const s3 = await S3.start('-cert', cert);

data.sizes = sizes();
data.cold = await step('cold', () => scenarios.cold(s3, quick ? 7 : 25));
data.warm = await step('warm and memory', () => scenarios.warm(s3, quick ? 1000 : 10_000, 40, [100, 1000, 10_000]));
data.distance = {};
for (const [delay, rounds] of quick ? [[50, 7]] : [[10, 15], [50, 15], [200, 7]]) {
  data.distance[delay] = await step(`S3 ${delay} ms away`, () => scenarios.distance(s3, delay, rounds));
}
if (!quick) {
  const tls = Object.assign(Object.create(s3), { http: s3.https });
  data.coldTLS = await step('cold, over TLS', () => scenarios.cold(tls, 9, { env: { NODE_EXTRA_CA_CERTS: cert } }));
  data.concurrency = await step('concurrency', () => scenarios.concurrency(s3, [1, 2, 4, 8, 16, 32, 64], 64));
  data.index = { standin: await step('index of 0, 10,000, 100,000', () => scenarios.index(s3, [0, 10_000, 100_000], 5, 40)) };
  const versitygw = `${root}build/tools/versitygw`;
  if (existsSync(versitygw)) {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'oncegate-bench-'));
    const real = await S3.start('-versitygw', versitygw, '-dir', dir, '-bucket', 'oncegate-placeholder');
    try {
      data.index.versitygw = await step('the same on versitygw', () => scenarios.index(real, [0, 10_000, 100_000], 3, 10));
    } catch (error) {
      // The machine is shared, and may be too slow for a candidate's limits.
      say(`versitygw: not measured, ${error.message}`);
    }
    await real.end();
    rmSync(dir, { recursive: true, maxRetries: 3 });
  } else {
    say(`versitygw: not measured, ${versitygw} is missing (make tools)`);
  }
  data.limited = await step('Lambda\'s limits', () => scenarios.limited(s3, 1000));
  data.go = await step('native Go', () => goBenchmarks('1s'));
}
await s3.end();

data.goals = goals(data);
data.machine.loadAfter = Number(os.loadavg()[0].toFixed(2));
data.seconds = (Date.now() - began) / 1000;
writeFileSync(`${root}build/bench.json`, `${JSON.stringify(data, null, 1)}\n`);

say(`\n${machine.cpu}, ${machine.cores} cores, ${machine.memoryGB} GB, ${machine.system}, Node ${machine.node}; load ${machine.loadBefore} before, ${data.machine.loadAfter} after\n`);
say(goalTable(data.goals));
say('\nmedian [quartiles]; ratios are medians of the rounds\' ratios\n');
const tables = [
  ['cold', data.cold, [['loadCPU', 'load, CPU ms'], ['mintCPU', 'first mint, CPU ms'], ['gateCPU', 'first gate, CPU ms'], ['loadWall', 'load, wall ms'], ['mintWall', 'first mint, wall ms'], ['gateWall', 'first gate, wall ms'], ['afterCPU', 'in the 100 ms after, CPU ms']]],
  ['cold, over TLS', data.coldTLS, [['cpu', 'CPU ms'], ['wall', 'wall ms'], ['peak', 'peak memory, MB', MB]]],
  ['warm', data.warm.result, [['mintWall', 'mint, wall ms'], ['gateWall', 'gate, wall ms']]],
  ...Object.entries(data.distance).map(([delay, result]) => [`S3 ${delay} ms away`, result, [['mintWall', 'mint, wall ms'], ['gateWall', 'gate, wall ms'], ['gateTrips', 'gate, trips'], ['mintBytes', 'mint, bytes on the wire'], ['gateBytes', 'gate, bytes on the wire']]]),
  ...Object.entries(data.concurrency ?? {}).map(([level, result]) => [`${level} at a time`, result, [['pairsPerSecond', 'mint + gate per second'], ['gateCPU', 'gate, CPU ms'], ['gateP99', 'gate, 99 % within ms'], ['peak', 'peak memory, MB', MB]]]),
  ...Object.entries(data.index ?? {}).flatMap(([server, fills]) => Object.entries(fills).map(([fill, result]) => [`index of ${fill}, ${server}`, result, [['mintWall', 'mint, wall ms'], ['gateWall', 'gate, wall ms'], ['gateCPU', 'gate, CPU ms']]])),
  [`in 128 MB, 128/1769 of a core (${data.limited?.kind})`, data.limited?.result, [['invocations', 'invocations survived'], ['loadWall', 'load, wall ms'], ['mintWall', 'first mint, wall ms'], ['gateWall', 'first gate, wall ms'], ['warmMintWall', 'warm mint, wall ms'], ['warmGateWall', 'warm gate, wall ms'], ['peakRSS', 'peak memory of the process, MB', MB], ['limitedPeak', 'peak memory with page cache, MB', MB]]],
  ['size', data.sizes, [['zip', 'zip, KB', 1000], ['plain', 'unpacked, KB', 1000]]],
];
for (const [title, result, figures] of tables) if (result) say(`${figureTable(title, result, figures)}\n`);
const memory = data.warm.memory;
for (const count of Object.keys(memory.ours)) {
  say(`memory after ${count}: ${Object.entries(memory).map(([name, m]) => `${name} ${(m[count].rss / MB).toFixed(1)} (peak ${(m[count].peak / MB).toFixed(1)})`).join(', ')} MB`);
}
for (const [name, b] of Object.entries(data.go ?? {})) say(`go ${name}: ${b.microseconds.toFixed(1)} µs, ${b.bytes} B, ${b.allocs} allocations`);
say(`\nbuild/bench.json, ${data.seconds.toFixed(0)} s`);
