// Medians, spread, and ratios within rounds.

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  return sorted[low] + (sorted[Math.ceil(at)] - sorted[low]) * (at - low);
}

// summary returns the median and the quartiles.
export function summary(values) {
  const round = (q) => Number(quantile(values, q).toPrecision(4));
  return { median: round(0.5), q1: round(0.25), q3: round(0.75), n: values.length };
}

// ratio compares round by round, because whatever slows a round slows both.
export const ratio = (ours, theirs) => summary(ours.map((value, round) => value / theirs[round]));

// column returns one figure of every round.
export const column = (rounds, name) => rounds.map((round) => round[name]);
