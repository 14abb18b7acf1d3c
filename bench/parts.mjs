// Measures what the gate does for one part of a file beside what it does for a whole one, and
// prints the cost table of large files in docs/performance.md. Both are of one process, which
// takes turns.
import { build } from './lib/build.mjs';
import { Candidate, S3 } from './lib/process.mjs';
import { column, quantile, ratio, summary } from './lib/stats.mjs';
import { LARGE, PRICE } from './lib/prices.mjs';

const ROUNDS = 40;
const BATCH = 20;

build();
const s3 = await S3.start();
const c = new Candidate('ours', s3);
await c.do('load');
await c.do('mint', { n: 100 });
await c.do('gate', { n: 100 });
await c.do('start');
await c.do('part', { n: 100 });

const rounds = { gate: [], part: [] };
for (let i = 0; i < ROUNDS; i++) {
  await c.do('mint', { n: BATCH });
  const gates = await c.do('gate', { n: BATCH });
  await c.do('start');
  const parts = await c.do('part', { n: BATCH });
  rounds.gate.push({ cpu: gates.cpu / BATCH });
  rounds.part.push({ cpu: parts.cpu / BATCH });
}
// Which requests wait for each other shows only if each takes its time.
await s3.reset({ delay: 20 });
await c.do('start');
const before = await s3.counts();
await c.do('part', { n: BATCH });
const after = await s3.counts();
const [reads, trips] = [asked(before, after), (after.Trips - before.Trips) / BATCH];
await c.end();
await s3.end();

function asked(before, after) {
  const sums = {};
  for (const [name, n] of Object.entries(after.Requests)) {
    const [kind] = name.split(' ');
    sums[kind] = (sums[kind] ?? 0) + (n - (before.Requests[name] ?? 0)) / BATCH;
  }
  return Object.fromEntries(Object.entries(sums).filter(([, n]) => n));
}

const [gate, part] = ['gate', 'part'].map((name) => column(rounds[name], 'cpu'));
const text = ({ median, q1, q3 }) => `${median.toFixed(2)} [${q1.toFixed(2)}..${q3.toFixed(2)}]`;
console.log(`warm CPU per gate, ms   ${text(summary(gate))}`);
console.log(`warm CPU per part, ms   ${text(summary(part))}`);
console.log(`part / gate             ${text(ratio(part, gate))}`);
console.log(`S3 requests per part    ${JSON.stringify(reads)}, and the part; ${trips} trips that wait for each other\n`);

// What a file costs: the same prices as bench/cost.mjs, S3 50 ms away, 256 MB, of which a
// CPU millisecond takes 1769/256 ms. Start, list and complete are a few requests more, which
// the sum leaves out.
console.log('| one file, USD | parts of 8 MiB, or of 1/1000 | S3 requests | Lambda@Edge | CloudFront requests | bytes to the origin | together |\n|---|---|---|---|---|---|---|');
const perPart = Object.entries(reads).reduce((sum, [kind, n]) => sum + n * PRICE[kind], PRICE.PUT);
for (const gigabytes of LARGE) {
  const parts = Math.ceil(gigabytes * 1e9 / Math.max(8 << 20, Math.ceil(gigabytes * 1e9 / 1000 / 2 ** 20) * 2 ** 20));
  const seconds = (trips * 50 + quantile(part, 0.5) * 1769 / 256) / 1000;
  const lambda = parts * (PRICE.invocation + seconds * 0.25 * PRICE.gigabyteSecond);
  const sums = [parts * perPart, lambda, parts * PRICE.request, gigabytes * PRICE.originGigabyte];
  console.log(`| ${gigabytes} GB | ${parts} | ${[...sums, sums.reduce((a, b) => a + b)].map((usd) => usd.toFixed(4)).join(' | ')} |`);
}
