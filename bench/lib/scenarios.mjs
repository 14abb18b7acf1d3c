// The scenarios that are measured. Each returns { candidate: rounds }, where a round is an
// object of figures. Within each round all candidates take turns. CPU and wall times are
// milliseconds per call, sizes are bytes.
import { Candidate, NAMES, everyone, turns } from './process.mjs';
import { MEMORY, SHARE, limits } from './limits.mjs';
import { quantile } from './stats.mjs';

const empty = () => Object.fromEntries(NAMES.map((name) => [name, []]));
const all = (candidates, call) => Promise.all(candidates.map(call));
const end = (candidates) => all(candidates, (c) => c.end());

// cold: a fresh process in every round, as Lambda starts one for a first request.
export async function cold(s3, rounds, options) {
  const result = empty();
  for (const order of turns(rounds, NAMES)) {
    for (const name of order) {
      const c = new Candidate(name, s3, options);
      const [load, mint, gate] = [await c.do('load'), await c.do('mint'), await c.do('gate')];
      const after = await c.do('idle', { ms: 100 });
      const { peak } = await c.do('memory');
      result[name].push({
        cpu: load.cpu + mint.cpu + gate.cpu, wall: load.wall + mint.wall + gate.wall,
        loadCPU: load.cpu, mintCPU: mint.cpu, gateCPU: gate.cpu,
        loadWall: load.wall, mintWall: mint.wall, gateWall: gate.wall,
        afterCPU: after.cpu, peak,
      });
      await c.end();
    }
  }
  return result;
}

// warm: one process each, in batches of half mints and half gates, until each has had a
// number of invocations. Memory is noted on the way. The first tenth warms up and does not
// count.
export async function warm(s3, invocations, batch, notes) {
  const result = empty();
  const memory = Object.fromEntries(NAMES.map((name) => [name, {}]));
  const candidates = NAMES.map((name) => new Candidate(name, s3));
  const note = async (c, count) => { memory[c.name][count] = await c.do('memory'); };
  for (const c of candidates) {
    await c.do('load');
    await c.do('mint');
    await note(c, 1);
    await c.do('gate');
  }
  let done = 2;
  for (const order of turns(invocations, candidates)) {
    const n = Math.min(batch, invocations - done, ...notes.filter((count) => count > done).map((count) => count - done)) / 2;
    if (n < 1) break;
    for (const c of order) {
      const [mint, gate] = [await c.do('mint', { n }), await c.do('gate', { n })];
      if (n * 2 === batch && done > invocations / 10) {
        result[c.name].push({ mintCPU: mint.cpu / n, gateCPU: gate.cpu / n, mintWall: mint.wall / n, gateWall: gate.wall / n });
      }
    }
    done += 2 * n;
    if (notes.includes(done)) for (const c of candidates) await note(c, done);
  }
  await end(candidates);
  return { result, memory };
}

// distance: S3 a number of milliseconds away. Also the requests to S3 for one upload, the
// trips that wait for each other, and the bytes on the wire.
export async function distance(s3, delay, rounds) {
  const result = empty();
  await s3.reset();
  const candidates = await everyone(s3, { warmup: 20 });
  await s3.reset({ delay });
  for (const order of turns(rounds, candidates)) {
    for (const c of order) {
      const round = {};
      for (const step of ['mint', 'gate']) {
        const before = await s3.counts();
        round[`${step}Wall`] = (await c.do(step)).times[0];
        const after = await s3.counts();
        round[`${step}Trips`] = after.Trips - before.Trips;
        round[`${step}Bytes`] = after.BytesIn - before.BytesIn + after.BytesOut - before.BytesOut;
        for (const [name, n] of Object.entries(after.Requests)) {
          const more = n - (before.Requests[name] ?? 0);
          if (more) (round.requests ??= {})[name.split(' ')[0]] = (round.requests[name.split(' ')[0]] ?? 0) + more;
        }
      }
      result[c.name].push(round);
    }
  }
  await end(candidates);
  await s3.reset();
  return result;
}

// concurrency: a number of calls at a time in one process, S3 10 ms away. Lambda has one,
// the local edge and tests have more.
export async function concurrency(s3, levels, calls) {
  const result = {};
  await s3.reset({ delay: 10 });
  const candidates = await everyone(s3, { warmup: 20 });
  for (const level of levels) {
    result[level] = empty();
    for (const c of candidates) {
      const options = { n: Math.max(calls, level), concurrency: level };
      const [mint, gate] = [await c.do('mint', options), await c.do('gate', options)];
      result[level][c.name].push({
        mintCPU: mint.cpu / options.n, gateCPU: gate.cpu / options.n,
        pairsPerSecond: options.n / (mint.wall + gate.wall) * 1000,
        gateP99: quantile(gate.times, 0.99),
        peak: (await c.do('memory')).peak,
      });
    }
  }
  await end(candidates);
  await s3.reset();
  return result;
}

// index: a number of other URLs' entries in the index.
export async function index(s3, fills, rounds, batch) {
  const result = {};
  for (const fill of fills) {
    result[fill] = empty();
    await s3.reset({ fill });
    const candidates = await everyone(s3, { warmup: 20 });
    for (const order of turns(rounds, candidates)) {
      for (const c of order) {
        const [mint, gate] = [await c.do('mint', { n: batch }), await c.do('gate', { n: batch })];
        result[fill][c.name].push({
          mintCPU: mint.cpu / batch, gateCPU: gate.cpu / batch, mintWall: mint.wall / batch, gateWall: gate.wall / batch,
        });
      }
    }
    await end(candidates);
  }
  return result;
}

// limited: a fresh process within Lambda's limits, cold and then for a number of
// invocations. All three run at once, since together they may use a quarter of a core.
export async function limited(s3, invocations) {
  await s3.reset();
  const result = empty();
  let kind;
  await Promise.all(NAMES.map(async (name) => {
    const limit = limits(name);
    ({ kind } = limit);
    const c = new Candidate(name, s3, { wrap: limit.wrap });
    limit.begin(c.process.pid);
    const round = {};
    let done = 0;
    try {
      for (const step of ['load', 'mint', 'gate']) {
        round[`${step}Wall`] = (await c.do(step)).wall;
        if (step !== 'load') done++;
      }
      const times = { mint: [], gate: [] };
      while (done < invocations) {
        const n = Math.min(10, (invocations - done) / 2);
        for (const step of ['mint', 'gate']) times[step].push(...(await c.do(step, { n })).times);
        done += 2 * n;
      }
      round.warmMintWall = quantile(times.mint, 0.5);
      round.warmGateWall = quantile(times.gate, 0.5);
      round.warmGateP99 = quantile(times.gate, 0.99);
      round.peakRSS = (await c.do('memory')).peak;
      await c.end();
    } catch (error) {
      round.failed = String(error.message);
      await c.end();
    }
    const { peak, throttledPeriods } = limit.end();
    round.survived = done === invocations && (peak ?? round.peakRSS) <= MEMORY;
    result[name].push({ invocations: done, ...round, limitedPeak: peak, throttledPeriods });
  }));
  return { kind, memory: MEMORY, share: SHARE, result };
}
