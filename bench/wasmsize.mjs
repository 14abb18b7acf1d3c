// Prints what the bytes of a WebAssembly program made by Go are: node wasmsize.mjs FILE.
// `go tool nm` does not read wasm, so the sections are read here. The code section has
// the size of every function, the name section its name, if the link was without -s.
// Data (types, strings, tables for the collector) has no names.
// https://webassembly.github.io/spec/core/binary/modules.html
import { readFileSync } from 'node:fs';

const bytes = readFileSync(process.argv[2]);
let at = 8; // after magic number and version

function number() {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value;
  }
}

function text() {
  const length = number();
  at += length;
  return bytes.toString('utf8', at - length, at);
}

const [IMPORT, CODE, DATA] = [2, 10, 11];
const sections = {};
const sizes = [];
const names = new Map();
let imported = 0;
while (at < bytes.length) {
  const id = bytes[at++];
  const length = number();
  const end = at + length;
  let title = { [CODE]: 'code', [DATA]: 'data' }[id] ?? 'other';
  if (id === IMPORT) {
    imported = number(); // Go imports functions only
  } else if (id === CODE) {
    for (let left = number(); left > 0; left--) {
      const size = number();
      sizes.push(size);
      at += size;
    }
  } else if (id === 0 && text() === 'name') {
    title = 'names (not shipped)';
    while (at < end) {
      const kind = bytes[at++];
      const next = number() + at;
      if (kind === 1) for (let left = number(); left > 0; left--) names.set(number(), text());
      at = next;
    }
  }
  sections[title] = (sections[title] ?? 0) + length;
  at = end;
}
if (names.size === 0) throw new Error('no names: link without -s');

// packageOf returns the import path in a symbol such as net/http.(*Request).Write.
function packageOf(symbol) {
  const generic = symbol.replace(/\[.*/, '');
  if (/^(type:|go:)/.test(generic)) return 'made by the compiler (type:.eq and such)';
  const slash = generic.lastIndexOf('/');
  const dot = generic.indexOf('.', slash + 1);
  return dot < 0 ? 'runtime (assembly)' : generic.slice(0, dot).replace(/%2e/g, '.');
}

const packages = new Map();
sizes.forEach((size, i) => {
  const name = packageOf(names.get(imported + i) ?? '?');
  const p = packages.get(name) ?? { size: 0, functions: 0 };
  packages.set(name, { size: p.size + size, functions: p.functions + 1 });
});
const kilobytes = (n) => (n / 1000).toFixed(0).padStart(6);
for (const [name, size] of Object.entries(sections)) console.log(`${kilobytes(size)} KB  ${name}`);
console.log(`\ncode by package, ${packages.size} packages, ${sizes.length} functions`);
for (const [name, p] of [...packages].sort((a, b) => b[1].size - a[1].size).slice(0, Number(process.argv[3] ?? 20))) {
  console.log(`${kilobytes(p.size)} KB  ${String(p.functions).padStart(5)}  ${name}`);
}
