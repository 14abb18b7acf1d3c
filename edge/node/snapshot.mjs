// Starts the Go program once, when it is built, and writes it down as it stands then:
//
//	node snapshot.mjs wasm_exec.js PROGRAM.wasm OUT.wasm
//
// A Go program sets up its runtime and its packages before main, and half of the CPU time of
// its start goes there. All of that is in its memory and its global variables when main waits
// for the first time (package main of edge/wasm). OUT.wasm begins with these: its data is the
// memory, its globals have their values, and its function run, which sets a program up, is the
// function resume, which goes on. The code is the same.
//
// The same program gives the same bytes: here the clock stands still and random bytes are
// zeros. Both are asked anew whenever the started program needs them. What was drawn before
// is the seed of Go's own generator, which shuffles maps and the scheduler. No secret comes
// from it: those come from the handler (package main, entropy), which must not have been
// asked yet.
//
// The section "oncegate" of OUT.wasm is for the handler: the environment, which lies in the
// program's memory and must be the same again, and the JavaScript values that the program
// holds by number, by the names that they have in wasm_exec.js.
import { readFileSync, writeFileSync } from 'node:fs';
import { createContext, runInContext } from 'node:vm';

// GOGC=50 collects garbage at 2 MB, not at 4. That saves 3 MB after 4,000 calls and costs no
// measurable CPU time. The other setting keeps stacks at their size, because growing them
// again took 8 % of a warm mint.
const ENV = { GOGC: '50', GODEBUG: 'gcshrinkstackoff=1' };

const NAMES = ['Object', 'Array', 'process', 'path', 'fs', 'fs.constants', 'Uint8Array'];

// The ids of sections: https://webassembly.github.io/spec/core/binary/modules.html#sections
const CUSTOM = 0, MEMORY = 5, GLOBAL = 6, EXPORT = 7, DATA = 11, DATA_COUNT = 12;
const PAGE = 65536;

const unsigned = (n) => {
  const bytes = [];
  do {
    bytes.push((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
    n >>>= 7;
  } while (n);
  return Buffer.from(bytes);
};

const signed = (n) => {
  const bytes = [];
  for (n = BigInt(n); ; n >>= 7n) {
    const low = Number(n & 0x7fn);
    if (n >> 6n === 0n || n >> 6n === -1n) return Buffer.from([...bytes, low]);
    bytes.push(low | 0x80);
  }
};

// Reader reads what the specification calls a module, section or vector.
class Reader {
  constructor(bytes, at = 0) { Object.assign(this, { bytes, at }); }
  get left() { return this.bytes.length - this.at; }
  byte() { return this.bytes[this.at++]; }
  take(length) { return this.bytes.subarray(this.at, this.at += length); }
  unsigned() {
    for (let n = 0, shift = 0; ; shift += 7) {
      const byte = this.byte();
      n |= (byte & 0x7f) << shift;
      if (byte < 0x80) return n >>> 0;
    }
  }
  vector(read) { return Array.from({ length: this.unsigned() }, read); }
}

const vector = (items) => Buffer.concat([unsigned(items.length), ...items]);

function parse(program) {
  const reader = new Reader(program, 8);
  const sections = [];
  while (reader.left) sections.push({ id: reader.byte(), body: reader.take(reader.unsigned()) });
  const section = (id) => new Reader(sections.find((s) => s.id === id).body);
  const globals = section(GLOBAL);
  const exported = section(EXPORT);
  return {
    head: program.subarray(0, 8),
    sections,
    memoryFlags: section(MEMORY).bytes[1], // after the number of memories, which is 1
    globals: globals.vector(() => {
      const [type, mutable, constant] = [globals.byte(), globals.byte(), globals.byte()];
      globals.unsigned(); // its length is what counts
      if (!TYPES[type] || mutable !== 1 || constant !== TYPES[type] || globals.byte() !== END) throw new Error('a global of a kind that Go did not make before');
      return type;
    }),
    exports: exported.vector(() => ({ name: exported.take(exported.unsigned()).toString(), kind: exported.byte(), index: exported.unsigned() })),
  };
}

// The types of globals, with the instruction for a constant: i32 and i64.
const TYPES = { 0x7f: 0x41, 0x7e: 0x42 };
const END = 0x0b;

const exportSection = (exports) => vector(exports.flatMap(({ name, kind, index }) => [Buffer.concat([unsigned(name.length), Buffer.from(name), Buffer.from([kind]), unsigned(index)])]));

// replace writes the module with other bodies for some sections; null leaves one out.
function replace({ head, sections }, bodies) {
  return Buffer.concat([head, ...sections.flatMap(({ id, body: old }) => {
    const body = bodies[id] === undefined ? old : bodies[id];
    return body === null ? [] : [Buffer.from([id]), unsigned(body.length), body];
  })]);
}

// started runs the program until main waits, in a world that is always the same.
async function started(loader, program, imports) {
  const world = createContext({
    TextEncoder, TextDecoder,
    performance: { now: () => 0 },
    crypto: { getRandomValues: (bytes) => bytes.fill(0) },
    setTimeout() { throw new Error('the program sets a timer'); },
  });
  runInContext(`Date = class extends Date { constructor() { super(${Date.UTC(2026, 0)}); } static now() { return ${Date.UTC(2026, 0)}; } }`, world);
  runInContext(loader, world, { filename: 'wasm_exec.js' });
  const [Go, wasm] = [runInContext('Go', world), runInContext('WebAssembly', world)];
  const go = new Go();
  go.env = ENV;
  const instance = await wasm.instantiate(await wasm.compile(program), { ...go.importObject, ...imports });
  let failure;
  go.run(instance).catch((error) => { failure = error; });
  await new Promise(setImmediate);
  if (failure) throw failure; // the program has called what it may not
  if (go.exited) throw new Error('the program ends');
  const known = new Map(NAMES.map((name) => [runInContext(name, world), name]));
  const values = go._values.slice(7).map((value, i) => {
    if (!known.has(value)) throw new Error(`the program holds a JavaScript value that is none of ${NAMES.join(', ')}`);
    return [known.get(value), go._goRefCounts[7 + i]];
  });
  return { exports: instance.exports, values };
}

// segments are the parts of the memory that are not zero. A gap of a few zeros costs less
// than another segment.
function segments(memory) {
  const ranges = [];
  for (let at = 0; at < memory.length; at += 8) {
    if (memory.readBigUInt64LE(at) === 0n) continue;
    const last = ranges.at(-1);
    if (last && at - last.end < 64) last.end = at + 8;
    else ranges.push({ from: at, end: at + 8 });
  }
  return ranges.map(({ from, end }) => Buffer.concat([
    Buffer.from([0, TYPES[0x7f]]), signed(from), Buffer.from([END]), unsigned(end - from), memory.subarray(from, end),
  ]));
}

export async function snapshot(loader, program) {
  const module = parse(program);
  const wanted = new WebAssembly.Module(program);
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(wanted)) {
    if (from !== 'gojs') (imports[from] ??= {})[name] = () => { throw new Error(`the program calls ${name} before main waits`); };
  }
  const globalName = (i) => `global ${i}`;
  const open = replace(module, {
    [EXPORT]: exportSection([...module.exports, ...module.globals.map((_, i) => ({ name: globalName(i), kind: 3, index: i }))]),
  });
  const { exports, values } = await started(loader, open, imports);
  const memory = Buffer.from(exports.mem.buffer);
  const { index: resume } = module.exports.find(({ name }) => name === 'resume');
  const note = Buffer.from(JSON.stringify({ env: ENV, values }));
  return Buffer.concat([
    replace(module, {
      [MEMORY]: Buffer.concat([Buffer.from([1, module.memoryFlags]), unsigned(memory.length / PAGE)]),
      [GLOBAL]: vector(module.globals.map((type, i) => Buffer.concat([Buffer.from([type, 1, TYPES[type]]), signed(exports[globalName(i)].value), Buffer.from([END])]))),
      [EXPORT]: exportSection(module.exports.map((e) => (e.name === 'run' ? { ...e, index: resume } : e))),
      [DATA_COUNT]: null, // only for instructions that Go does not use
      [DATA]: vector(segments(memory)),
    }),
    Buffer.from([CUSTOM]), unsigned(note.length + 9), Buffer.from('\x08oncegate'), note,
  ]);
}

if (process.argv[1] === import.meta.filename) {
  const [loader, program, out] = process.argv.slice(2);
  writeFileSync(out, await snapshot(readFileSync(loader, 'utf8'), readFileSync(program)));
}
