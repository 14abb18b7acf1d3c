// Prints a CPU profile of oncegate, cold and warm: which functions take the time. Run it
// with the deployed Node. Give it a program that is linked with names (without -s in
// -ldflags), or wasm functions show as numbers. The profiles stay in build/bench and can
// be opened in a browser's developer tools.
//
//	node bench/profile.mjs PROGRAM.wasm
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { Candidate, S3, out, root } from './lib/process.mjs';

const artifact = `${out}/named`;
rmSync(artifact, { recursive: true, force: true });
cpSync(process.env.ONCEGATE_EDGE ?? `${root}build/edge`, artifact, { recursive: true });
if (process.argv[2]) copyFileSync(process.argv[2], `${artifact}/oncegate.wasm`);

async function profile(name, rounds) {
  const dir = `${out}/profile-${name}`;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir);
  const s3 = await S3.start();
  const c = new Candidate('ours', s3, {
    file: `${artifact}/index.mjs`, nodeFlags: ['--cpu-prof', '--cpu-prof-interval', '100', '--cpu-prof-dir', dir],
  });
  await c.do('load');
  await c.do('mint', { n: rounds });
  await c.do('gate', { n: rounds });
  await c.end();
  await s3.end();

  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(`${dir}/${readdirSync(dir)[0]}`, 'utf8'));
  const byID = new Map(nodes.map((node) => [node.id, node.callFrame]));
  const [functions, places] = [new Map(), new Map()];
  let total = 0;
  samples.forEach((id, i) => {
    const { functionName, url } = byID.get(id);
    // Idle is waiting for S3; readSync is waiting for the next command.
    if (functionName === '(idle)' || functionName === 'readSync') return;
    const place = url.startsWith('wasm:') ? 'Go' : url.startsWith('node:') ? 'Node' : url.startsWith('file:') ? url.split('/').pop() : functionName || 'other';
    const ms = timeDeltas[i] / 1000;
    total += ms;
    places.set(place, (places.get(place) ?? 0) + ms);
    const label = `${functionName || '(anonymous)'}  ${url.startsWith('wasm:') ? 'Go' : url.split('/').slice(-2).join('/')}`;
    functions.set(label, (functions.get(label) ?? 0) + ms);
  });
  const top = (map, n) => [...map].sort((a, b) => b[1] - a[1]).slice(0, n)
    .map(([what, ms]) => `  ${ms.toFixed(1).padStart(8)} ms ${(100 * ms / total).toFixed(1).padStart(5)} %  ${what}`).join('\n');
  console.log(`${name}: ${rounds} mint, ${rounds} gate, ${total.toFixed(0)} ms\n${top(places, 8)}\n\n${top(functions, 25)}\n`);
}

await profile('cold', 1);
await profile('warm', 1000);
