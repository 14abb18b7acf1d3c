// Works out the goals and prints the tables.
import { column, quantile, ratio, summary } from './stats.mjs';

const MB = 1e6;
const number = (value, digits = 2) => (Number.isFinite(value) ? value.toFixed(digits) : '?');
const spread = (s, scale = 1, digits = 2) => `${number(s.median / scale, digits)} [${number(s.q1 / scale, digits)}..${number(s.q3 / scale, digits)}]`;

// goals compares what was measured with what is wanted. It returns rows with what, unit,
// the values, the ratios, goal and stretch. A goal is met if value <= goal.
export function goals(data) {
  const rows = [];
  const compare = (what, unit, rounds, name, against, goal, stretch, scale = 1, who = 'ours') => {
    const of = (candidate) => column(rounds[candidate], name);
    const r = { sdk: ratio(of(who), of('sdk')), floor: ratio(of(who), of('floor')) };
    rows.push({
      what: who === 'table' ? `DynamoDB: ${what}` : what, unit, against, goal, stretch, scale,
      ours: summary(of(who)), sdk: summary(of('sdk')), floor: summary(of('floor')), ratio: r, value: r[against].median,
    });
  };
  compare('cold CPU: load + first mint + first gate', 'ms', data.cold, 'cpu', 'sdk', 0.42, 0.30);
  if (data.coldTLS) compare('the same over TLS, as deployed', 'ms', data.coldTLS, 'cpu', 'sdk', 0.55, 0.30);
  compare('warm CPU per mint', 'ms', data.warm.result, 'mintCPU', 'sdk', 0.40, 0.20);
  compare('warm CPU per gate', 'ms', data.warm.result, 'gateCPU', 'sdk', 0.42, 0.25);
  compare('peak memory after the first mint and gate', 'MB', data.cold, 'peak', 'sdk', 0.85, 0.78, MB);
  const counts = Object.keys(Object.values(data.warm.memory)[0]).map(Number).sort((a, b) => a - b);
  const last = counts.at(-1);
  const peaks = Object.fromEntries(Object.entries(data.warm.memory).map(([name, m]) => [name, [{ peak: m[last].peak }]]));
  compare(`peak memory after ${last} invocations`, 'MB', peaks, 'peak', 'sdk', 0.85, 0.78, MB);
  compare('gate wall time, S3 50 ms away', 'ms', data.distance[50], 'gateWall', 'sdk', 0.68, 0.36);
  compare('warm CPU per mint against the floor', 'ms', data.warm.result, 'mintCPU', 'floor', 4, 2);
  compare('warm CPU per gate against the floor', 'ms', data.warm.result, 'gateCPU', 'floor', 4, 2);
  if (counts.includes(1000) && last > 1000) {
    const growth = (name) => data.warm.memory[name][last].rss / data.warm.memory[name][1000].rss - 1;
    rows.push({ what: `memory growth from 1000 to ${last} invocations`, unit: '%', plain: Object.fromEntries(Object.keys(data.warm.memory).map((n) => [n, 100 * growth(n)])), value: 100 * growth('ours'), goal: 3, stretch: 0 });
  }
  const table = (what, unit, rounds, name, goal, scale = 1) => compare(what, unit, rounds, name, 'sdk', goal, undefined, scale, 'table');
  table('cold CPU: load + first mint + first gate', 'ms', data.cold, 'cpu', 0.42);
  if (data.coldTLS) table('the same over TLS, as deployed', 'ms', data.coldTLS, 'cpu', 0.55);
  table('warm CPU per mint', 'ms', data.warm.result, 'mintCPU', 0.40);
  table('warm CPU per gate', 'ms', data.warm.result, 'gateCPU', 0.30);
  table('peak memory after the first mint and gate', 'MB', data.cold, 'peak', 0.85, MB);
  table(`peak memory after ${last} invocations`, 'MB', peaks, 'peak', 0.85, MB);
  table('gate wall time, the table 50 ms away', 'ms', data.distance[50], 'gateWall', 0.36);
  const asks = (who, wanted) => {
    const asked = data.distance[50][who].map((r) => JSON.stringify(r.requests));
    rows.push({ what: `${who === 'table' ? 'DynamoDB: ' : ''}requests for an upload: ${wanted}`, unit: '', plain: { ours: asked[0], sdk: JSON.stringify(data.distance[50].sdk[0].requests) }, value: asked.every((a) => a === wanted) ? 0 : 1, goal: 0 });
  };
  asks('ours', JSON.stringify({ PUT: 2, GET: 1, HEAD: 1 }));
  asks('table', JSON.stringify({ UpdateItem: 2 }));
  for (const { invocations, survived, failed } of data.limited?.result.ours ?? []) {
    rows.push({ what: `${invocations} invocations in 128 MB and 7 % of a core (${data.limited.kind})`, unit: '', plain: { ours: survived ? 'survived' : failed ?? 'too much memory' }, value: survived ? 0 : 1, goal: 0 });
  }
  for (const row of rows) {
    row.met = row.value <= row.goal;
    if (row.stretch !== undefined) row.stretchMet = row.value <= row.stretch;
  }
  return rows;
}

const mark = (met) => (met === undefined ? '' : met ? '✓' : '✗');

function lines(rows) {
  const width = rows[0].map((_, i) => Math.max(...rows.map((row) => [...row[i]].length)));
  return rows.map((row) => row.map((cell, i) => (i ? cell.padStart(width[i]) : cell.padEnd(width[i]))).join('  ').trimEnd()).join('\n');
}

// goalTable formats the goals: medians [quartiles], ratios as medians of the rounds' ratios.
export function goalTable(rows) {
  return lines([
    ['', 'ours', 'A: AWS SDK', 'B: floor', 'ours/A', 'ours/B', 'goal', '', 'stretch', ''],
    ...rows.map((row) => [
      `${row.what}${row.unit ? `, ${row.unit}` : ''}`,
      ...['ours', 'sdk', 'floor'].map((name) => {
        if (!row.plain) return spread(row[name], row.scale);
        const value = row.plain[name];
        return typeof value === 'number' ? number(value, 1) : value ?? '';
      }),
      row.ratio ? spread(row.ratio.sdk) : '', row.ratio ? spread(row.ratio.floor) : '',
      row.plain && row.unit === '' ? '' : `<= ${row.goal}`, mark(row.met),
      row.stretch === undefined ? '' : `<= ${row.stretch}`, mark(row.stretchMet),
    ]),
  ]);
}

// figureTable formats the medians of one scenario, a line for each figure.
export function figureTable(title, result, figures) {
  const names = Object.keys(result);
  const median = (name, figure) => quantile(column(result[name], figure), 0.5);
  return lines([
    [title, ...names],
    ...figures.map(([figure, what, scale = 1]) => [
      `  ${what}`, ...names.map((name) => {
        const value = median(name, figure) / scale;
        return Number.isFinite(value) ? number(value, value >= 100 ? 0 : 2) : '-';
      }),
    ]),
  ]);
}
