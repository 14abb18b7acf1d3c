// The Lambda handlers of oncegate: transport between Lambda, the Go program
// (edge/wasm), S3 and DynamoDB. Nothing is decided here. Every path that does not end in a
// clear result of the Go program is a refusal.

import { Server } from './http.mjs';

// Node's own modules are not imported. An import statement reads every getter of a
// module, and the getters of http and fs load another HTTP client and much more. That
// costs 30 of the 100 ms of CPU time of a cold start, and 8 MB.
const v8 = process.getBuiltinModule('node:v8');

// Node ships its modules compiled. V8 uses the compiled form only if its flags are those
// that it was compiled with, and Lambda sets others on the command line. By now the heap
// has been made with them, so they can be set back. Loading https and crypto then takes
// 6 ms, not 23.
for (const flag of ['--max-semi-space-size=0', '--max-old-space-size=0', '--no-expose-gc']) v8.setFlagsFromString(flag);
const { readFileSync } = process.getBuiltinModule('node:fs');
const { runInThisContext } = process.getBuiltinModule('node:vm');
const { hash, randomFillSync } = process.getBuiltinModule('node:crypto');
// What the HTTP client needs. The same variable tells the Go program where S3 is.
process.getBuiltinModule(process.env.AWS_ENDPOINT_URL_S3?.startsWith('http:') ? 'node:net' : 'node:tls');

// This must come before WebAssembly is compiled. V8's optimising compiler would spend more
// CPU time on Go's large functions than the optimised code ever saves.
v8.setFlagsFromString('--liftoff-only');
// Most functions of the program are never called. With this flag a function is checked
// when it is first compiled, and not at the start, which saves 20 ms.
v8.setFlagsFromString('--wasm-lazy-validation');
// The first flag saves 12 MB after 4,000 mints and gates. The second keeps the young
// generation from doubling and saves 1.5 MB. Neither changes the CPU time measurably.
v8.setFlagsFromString('--optimize-for-size');
v8.setFlagsFromString('--semi-space-growth-factor=1');

// Go's loader takes random bytes from globalThis.crypto, and touching that loads all of
// Web Cryptography (10 ms). This is the only function of it that Go calls.
Object.defineProperty(globalThis, 'crypto', { value: { getRandomValues: randomFillSync }, configurable: true });

// This sets globalThis.Go. It runs without the loader of CommonJS modules, which takes 1 ms.
runInThisContext(readFileSync(new URL('wasm_exec.js', import.meta.url), 'utf8'), { filename: 'wasm_exec.js' });

const config = readFileSync(new URL('config.json', import.meta.url), 'utf8');

// The Go program comes in two builds. The larger one can check tokens. Only the mint needs
// it, and only if the settings ask for tokens. With such settings the other build lets
// nobody mint.
const tokens = JSON.parse(config)?.auth?.jwt !== undefined;
const buildFor = (name) => (tokens && name === 'mint' ? 'oncegate-jwt.wasm' : 'oncegate.wasm');
async function compile(file) {
  const bytes = readFileSync(new URL(file, import.meta.url));
  const module = await WebAssembly.compile(bytes);
  bytes.buffer.transfer(0); // frees 4 MB now, which the garbage collector would do late
  return module;
}

// Time that is kept for the refusal, if the Go program does not answer.
const ANSWER_RESERVE_MS = 100;

// refuse is the answer when there is none from the Go program. Its words are those of
// package edge for the reason "internal"; a test compares the two.
function refuse() {
  return {
    status: '503',
    statusDescription: 'Service Unavailable',
    headers: {
      'cache-control': [{ value: 'no-store' }],
      'content-type': [{ value: 'text/plain; charset=utf-8' }],
      'x-amz-error-code': [{ value: 'internal' }],
      'x-oncegate-reason': [{ value: 'internal' }],
    },
    body: 'Service Unavailable: this request could not be handled; get a new URL, and tell the operator if it fails again.',
  };
}

// Program is one running instance of the Go program. It ends by a panic, by an exit, or
// when it is given up; then all its invocations resolve with undefined. edge/wasm documents
// the functions that the two sides call.
class Program {
  #waiting = new Map(); // invocation id -> resolve
  #requests = new Set(); // requests under way
  #lastID = 0;
  #go = new globalThis.Go();
  #exports;
  #view = Buffer.alloc(0);
  #announced; // a Buffer for the Go program to take
  #endpoints; // the URLs of S3 and, if it has the index, DynamoDB
  #keysURL;
  ended = false;

  static async start(module) {
    const program = new Program();
    const go = program.#go;
    // The program was started when it was built; this is what it needs to go on.
    const [note] = WebAssembly.Module.customSections(module, 'oncegate');
    const { env, values } = JSON.parse(Buffer.from(note));
    go.env = env;
    const text = (at, length) => program.#memory.utf8Slice(at, at + length);
    const bytes = (at, length) => program.#memory.latin1Slice(at, at + length);
    let ready = false;
    const oncegate = {
      setting: (...name) => {
        const value = text(...name) === 'config' ? config : process.env[text(...name)];
        return value === undefined ? -1 : program.#announce(Buffer.from(value));
      },
      take: (at) => { program.#memory.set(program.#announced, at); },
      ready: (at, length, keysAt, keysLength) => {
        program.#endpoints = text(at, length).split('\n');
        program.#keysURL = text(keysAt, keysLength);
        ready = true;
      },
      done: (id, ...result) => program.#settle(id, text(...result)),
      // A character for each byte: so text goes out as the UTF-8 that it is.
      send: (id, endpoint, at, length, bodyAt, bodyLength, limitMs) => program.#send(id, endpoint, bytes(at, length), bytes(bodyAt, bodyLength), limitMs),
      fetchKeys: (...request) => program.#fetchKeys(...request),
      log: (...line) => { process.stdout.write(text(...line)); },
      random: (at, length) => { randomFillSync(program.#memory, at, length); },
      // In Go's own code this would be a fifth of a warm invocation.
      md5: (at, length, sum) => { program.#memory.set(hash('md5', program.#memory.subarray(at, at + length), 'buffer'), sum); },
      sha256: (at, length, sum) => { program.#memory.set(hash('sha256', program.#memory.subarray(at, at + length), 'buffer'), sum); },
    };
    const instance = await WebAssembly.instantiate(module, { ...go.importObject, oncegate });
    program.#exports = instance.exports;
    go.run(instance).catch((error) => console.error('oncegate:', error)).then(() => program.end());
    for (const [name, count] of values) {
      const value = name.split('.').reduce((object, property) => object[property], globalThis);
      go._ids.set(value, go._values.length);
      go._goRefCounts[go._values.length] = count;
      go._values.push(value);
    }
    program.#call('begin');
    if (!ready) throw new Error('the Go program did not start; the lines above say why');
    return program;
  }

  // #memory is the memory of the Go program. When that grows, the view is made again.
  get #memory() {
    const { buffer } = this.#exports.mem;
    if (this.#view.buffer !== buffer) this.#view = Buffer.from(buffer);
    return this.#view;
  }

  #announce(buffer) {
    this.#announced = buffer;
    return buffer.length;
  }

  // invoke resolves with the result's JSON, or with undefined.
  invoke(name, event, remainingMs) {
    const asked = Buffer.from(`${name}\n${JSON.stringify(event)}`); // may throw: there is nothing to clear yet
    return new Promise((resolve) => {
      const id = ++this.#lastID;
      const timer = setTimeout(() => this.end(), remainingMs - ANSWER_RESERVE_MS);
      this.#waiting.set(id, (result) => {
        clearTimeout(timer);
        resolve(result);
      });
      this.#call('invoke', id, this.#announce(asked), remainingMs);
    });
  }

  // #call calls the Go program and lets it run until it waits for something. If the program
  // traps or exits, it has ended.
  #call(name, ...args) {
    try {
      this.#exports[name](...args);
      if (!this.#go.exited) this.#go._resume();
    } catch (error) {
      console.error('oncegate:', error);
      this.end();
    }
    if (this.#go.exited) this.end();
  }

  end() {
    this.ended = true;
    // A timer of the dead program would throw when it fires. That is outside any
    // invocation, so it would end the container.
    for (const timer of this.#go._scheduledTimeouts.values()) clearTimeout(timer);
    for (const request of this.#requests) request.destroy();
    for (const id of [...this.#waiting.keys()]) this.#settle(id, undefined);
  }

  #settle(id, result) {
    this.#waiting.get(id)?.(result);
    this.#waiting.delete(id);
  }

  // #send makes one request to S3 or DynamoDB.
  #send(id, endpoint, text, body, limitMs) {
    this.#ask(serverAt(this.#endpoints[endpoint]), id, text.split('\n'), body, limitMs);
  }

  // #fetchKeys gets the one URL that the settings name, over a connection of its own, because
  // the next fetch is minutes away. It follows no redirect.
  #fetchKeys(id, limitMs) {
    const url = new URL(this.#keysURL);
    this.#ask(new Server(url), id, [
      'GET', url.pathname + url.search, 'host', url.host, 'accept', 'application/json', 'user-agent', 'oncegate', 'connection', 'close',
    ], '', limitMs);
  }

  // #ask makes a request and tells the program its outcome.
  #ask(server, id, lines, body, limitMs) {
    const request = server.send(lines, body, limitMs, (answer) => {
      this.#requests.delete(request);
      if (this.ended) return;
      if (answer.message !== undefined) {
        this.#call('received', id, 0, this.#announce(Buffer.from(answer.message)), 0, answer.stale ? 1 : 0);
        return;
      }
      // Only the headers that package wire has.
      let head = '';
      for (let i = 0; i < answer.headers.length; i += 2) {
        if (/^(x-amz-.*|etag|content-length|date|last-modified)$/.test(answer.headers[i])) head += `${answer.headers[i]}\n${answer.headers[i + 1]}\n`;
      }
      const bytes = Buffer.from(head, 'latin1');
      this.#call('received', id, answer.status, this.#announce(answer.body.length ? Buffer.concat([bytes, answer.body]) : bytes), bytes.length, 0);
    });
    this.#requests.add(request);
  }
}

const servers = {}; // by URL, for all programs that run
const serverAt = (url) => (servers[url] ??= new Server(new URL(url)));

const modules = {}; // compiled, by file
const programs = {}; // running, by file

async function programFor(name) {
  const file = buildFor(name);
  modules[file] ??= await compile(file);
  if (!programs[file] || programs[file].ended) programs[file] = await Program.start(modules[file]);
  return programs[file];
}

// A Lambda container runs one handler and names it in this variable. Its program is started
// now, before any invocation.
await programFor(process.env._HANDLER?.split('.')[1]);

async function handle(name, event, context) {
  try {
    const program = await programFor(name);
    const json = await program.invoke(name, event, Math.floor(context.getRemainingTimeInMillis()));
    return apply(event, json && JSON.parse(json));
  } catch (error) {
    console.error('oncegate:', error);
    return refuse();
  }
}

// apply turns the program's result into what CloudFront wants. That is a response, or the
// request that CloudFront handed in, changed only as the result says. CloudFront answers 502
// if a read-only header comes back altered or is missing.
function apply(event, result) {
  if (result?.response?.status) return compressed(result.response);
  if (!result?.forward?.querystring) return refuse();
  const request = event.Records[0].cf.request;
  const { querystring, drop = [], set = {} } = result.forward;
  for (const name of drop) delete request.headers[name];
  return { ...request, querystring, headers: { ...request.headers, ...set } };
}

// compressed does what the program says of an answer that is too long as it is.
function compressed(response) {
  if (response.headers?.['content-encoding']?.[0].value !== 'gzip') return response;
  const { gzipSync } = process.getBuiltinModule('node:zlib');
  return { ...response, body: gzipSync(response.body).toString('base64'), bodyEncoding: 'base64' };
}

export const mint = (event, context) => handle('mint', event, context);
export const gate = (event, context) => handle('gate', event, context);
