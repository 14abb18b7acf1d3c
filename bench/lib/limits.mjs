// Lambda's limits around a process: 128 MB of memory, and at 128 MB the share
// 128/1769 of one core (1769 MB is one whole core:
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html).
//
// They are real where this program may make cgroups, v2 or v1, mostly as root. The kernel
// then ends a process that needs more memory, and throttles one that has used its share of
// a period. Elsewhere the process is stopped and continued to keep its share, and memory
// is only watched. kind says which of them it was.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';

export const MEMORY = 128 << 20;
export const SHARE = 128 / 1769;
const PERIOD_US = 20_000;
const QUOTA_US = Math.round(PERIOD_US * SHARE);

const BASE = '/sys/fs/cgroup';
const name = `oncegate-bench-${process.pid}`;

// The files of each version: those that are written and those that are read.
const VERSIONS = [
  {
    kind: 'cgroup v2',
    folders: (id) => [`${BASE}/${id}`],
    settings: ([dir]) => [
      [`${dir}/memory.max`, MEMORY], [`${dir}/memory.swap.max`, 0, 'optional'], [`${dir}/cpu.max`, `${QUOTA_US} ${PERIOD_US}`],
    ],
    peak: ([dir]) => `${dir}/memory.peak`,
    throttled: ([dir]) => `${dir}/cpu.stat`,
  },
  {
    kind: 'cgroup v1',
    folders: (id) => [`${BASE}/memory/${id}`, `${BASE}/cpu/${id}`],
    settings: ([memory, cpu]) => [
      [`${memory}/memory.limit_in_bytes`, MEMORY], [`${memory}/memory.memsw.limit_in_bytes`, MEMORY, 'optional'],
      [`${cpu}/cpu.cfs_period_us`, PERIOD_US], [`${cpu}/cpu.cfs_quota_us`, QUOTA_US],
    ],
    peak: ([memory]) => `${memory}/memory.max_usage_in_bytes`,
    throttled: ([, cpu]) => `${cpu}/cpu.stat`,
  },
];

// limits prepares limits for one process: wrap changes its command line, begin is called
// with its process id, end returns { kind, peak, throttled } and cleans up.
export function limits(id) {
  for (const version of VERSIONS) {
    const folders = version.folders(`${name}-${id}`);
    try {
      for (const folder of folders) mkdirSync(folder);
      for (const [file, value, optional] of version.settings(folders)) {
        // The kernel makes the files with the folder. Without them this is an ordinary
        // folder.
        if (existsSync(file)) writeFileSync(file, String(value));
        else if (!optional) throw new Error(`${file} is missing`);
      }
    } catch {
      for (const folder of folders) if (existsSync(folder)) rmdirSync(folder);
      continue;
    }
    const join = folders.map((folder) => `echo $$ > ${folder}/cgroup.procs && `).join('');
    return {
      kind: version.kind,
      wrap: (line) => ['/bin/sh', '-c', `${join}exec "$@"`, 'sh', ...line],
      begin() {},
      end() {
        const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '');
        const result = {
          peak: Number(read(version.peak(folders))) || undefined,
          throttledPeriods: Number(/nr_throttled (\d+)/.exec(read(version.throttled(folders)))?.[1]),
        };
        for (const folder of folders) rmdirSync(folder);
        return result;
      },
    };
  }
  return dutyCycle();
}

// dutyCycle lets a process run for its share of every 200 ms. All of its threads run in
// that time, which is softer than Lambda. A process that waits loses the time that it does
// not use, which is harder.
function dutyCycle() {
  let cycle;
  return {
    kind: 'SIGSTOP and SIGCONT; memory watched, not limited',
    wrap: (line) => line,
    begin(pid) {
      cycle = spawn('/bin/sh', ['-c', `while kill -CONT ${pid}; do sleep ${(0.2 * SHARE).toFixed(4)}; kill -STOP ${pid}; sleep ${(0.2 * (1 - SHARE)).toFixed(4)}; done 2>/dev/null`]);
    },
    end() {
      cycle?.kill();
      return {};
    },
  };
}
