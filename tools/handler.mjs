// Joins a handler and what it imports in one file: node tools/handler.mjs IN OUT. Each file that
// Node has to find and load costs CPU time at a cold start.
import { build } from 'esbuild';

const [entry, outfile] = process.argv.slice(2);
await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'esm', target: 'node22', charset: 'utf8', logLevel: 'warning' });
