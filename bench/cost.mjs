// Prints what a million uploads cost, the table in docs/performance.md, from
// build/bench.json and the price list below. One upload is one mint, one gate and the PUT
// of the body.
//
// The duration is what was measured within Lambda's limits with S3 at no distance, plus
// the trips to S3. Lambda also bills the start of a cold invocation. How many are cold
// depends on the traffic, so that is left out.
import { readFileSync } from 'node:fs';
import { PRICE } from './lib/prices.mjs';
import { root } from './lib/process.mjs';
import { column, quantile } from './lib/stats.mjs';

const GIGABYTES = 0.125;
const MILLION = 1e6;

const data = JSON.parse(readFileSync(`${root}build/bench.json`, 'utf8'));
if (!data.limited) throw new Error('build/bench.json is from a quick run: run make bench');
const median = (rounds, name) => quantile(column(rounds, name), 0.5);

function cost(name, distance) {
  const [limited] = data.limited.result[name];
  const [round] = data.distance[50][name];
  const asked = { ...round.requests, PUT: (round.requests.PUT ?? 0) + 1 };
  const index = Object.entries(asked).reduce((sum, [kind, n]) => sum + n * PRICE[kind], 0);
  const trips = median(data.distance[50][name], 'mintTrips') + median(data.distance[50][name], 'gateTrips');
  const ms = limited.warmMintWall + limited.warmGateWall + trips * distance;
  const lambda = 2 * PRICE.invocation + ms / 1000 * GIGABYTES * PRICE.gigabyteSecond;
  return { ms, index: index * MILLION, lambda: lambda * MILLION, cloudfront: 2 * PRICE.request * MILLION, total: (index + lambda + 2 * PRICE.request) * MILLION };
}

console.log('| a million uploads, USD | billed duration of both functions | requests to S3 and the table | Lambda@Edge | CloudFront | together |\n|---|---|---|---|---|---|');
for (const distance of [10, 50, 200]) {
  for (const [name, who] of [['ours', 'oncegate'], ['table', 'oncegate with DynamoDB'], ['sdk', 'published algorithm, AWS SDK']]) {
    const c = cost(name, distance);
    console.log(`| ${who}, bucket ${distance} ms away | ${c.ms.toFixed(0)} ms | ${c.index.toFixed(2)} | ${c.lambda.toFixed(2)} | ${c.cloudfront.toFixed(2)} | **${c.total.toFixed(2)}** |`);
  }
}
