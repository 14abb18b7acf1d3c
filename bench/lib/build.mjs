// Builds what is measured besides build/edge, and measures all sizes.
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { CANDIDATES, out, root } from './process.mjs';

export function build() {
  for (const name of ['sdk', 'floor']) {
    rmSync(`${out}/${name}`, { recursive: true, force: true });
    mkdirSync(`${out}/${name}`, { recursive: true });
    copyFileSync(`${root}build/edge/config.json`, `${out}/${name}/config.json`);
  }
  copyFileSync(`${root}bench/peers/floor.mjs`, CANDIDATES.floor);
  rmSync(`${out}/table`, { recursive: true, force: true });
  cpSync(`${root}build/edge`, `${out}/table`, { recursive: true });
  const settings = JSON.parse(readFileSync(`${root}build/edge/config.json`, 'utf8'));
  writeFileSync(`${out}/table/config.json`, JSON.stringify({ ...settings, index: 'dynamodb' }));
  // With "module" first esbuild leaves out the parts of the SDK that are not used: 430 KB
  // instead of 590. Node loads CommonJS faster than ES modules that import Node's own
  // modules. Of the four combinations this one was the fastest cold, and as fast warm.
  execFileSync(`${root}bench/node_modules/.bin/esbuild`, [
    `${root}bench/peers/sdk.mjs`, '--bundle', '--minify', '--platform=node', '--target=node22', '--format=cjs',
    '--main-fields=module,main', '--log-level=error', `--outfile=${CANDIDATES.sdk}`,
  ], { stdio: 'inherit' });
  execFileSync('go', ['build', '-trimpath', '-o', `${out}/standin`, './bench/standin'], { cwd: root, stdio: 'inherit' });
}

// sizes returns the bytes of each candidate's folder as it is and as a zip file. For each
// file zip needs the deflated content, 30 + 46 bytes and the name twice, and 22 bytes at
// the end.
export function sizes() {
  return Object.fromEntries(Object.entries(CANDIDATES).map(([name, file]) => {
    const folder = path.dirname(file);
    let plain = 0;
    let zip = 22;
    for (const entry of readdirSync(folder)) {
      plain += statSync(path.join(folder, entry)).size;
      zip += deflateRawSync(readFileSync(path.join(folder, entry)), { level: 9 }).length + 76 + 2 * entry.length;
    }
    return [name, [{ plain, zip }]];
  }));
}

// goBenchmarks runs the Go path as native code and returns its figures by name.
export function goBenchmarks(time) {
  const text = execFileSync('go', ['test', '-run', '^$', '-bench', '.', '-benchmem', '-benchtime', time, './bench/native'], { cwd: root, encoding: 'utf8' });
  const found = [...text.matchAll(/^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns\/op\s+(\d+) B\/op\s+(\d+) allocs\/op$/gm)];
  return Object.fromEntries(found.map(([, name, ns, bytes, allocs]) => [name, { microseconds: ns / 1000, bytes: Number(bytes), allocs: Number(allocs) }]));
}
