// Runs one candidate in one process, in place of Lambda's runtime. It takes commands from
// file descriptor 3, a line of JSON each, and answers each with one. Between commands it
// is blocked in a read, as a container is frozen between invocations.
//
// It imports as little as possible before the candidate is loaded. It counts the CPU time
// of all its threads, in milliseconds, from the end of one command to the end of the next,
// so that work in the background counts too.

// Not by import: that would load what is behind every getter of the module. The candidate
// must pay itself for what it needs of it.
const { readFileSync, readSync, writeSync } = process.getBuiltinModule('node:fs');
const { createRequire } = process.getBuiltinModule('node:module');

const [, , file] = process.argv;
let functions;
let urls = [];
let used = process.cpuUsage();

const header = (key, value) => [{ key, value }];

// The headers that a browser and curl send. CloudFront adds x-forwarded-for and via.
function event(method, uri, querystring, more) {
  return {
    Records: [{
      cf: {
        config: {
          distributionDomainName: 'd111111abcdef8.cloudfront.net',
          distributionId: 'EDFDVBD6EXAMPLE',
          eventType: 'viewer-request',
          requestId: '4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ==',
        },
        request: {
          clientIp: '203.0.113.178',
          headers: {
            host: header('Host', 'd111111abcdef8.cloudfront.net'),
            'user-agent': header('User-Agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36'),
            accept: header('accept', '*/*'),
            'accept-encoding': header('accept-encoding', 'gzip, deflate, br, zstd'),
            'accept-language': header('accept-language', 'en-GB,en;q=0.9'),
            'x-forwarded-for': header('X-Forwarded-For', '203.0.113.178'),
            via: header('Via', '2.0 2afae0d44e2540f472c0635ab62c232b.cloudfront.net (CloudFront)'),
            ...more,
          },
          method,
          querystring,
          uri,
        },
      },
    }],
  };
}

function context() {
  const end = Date.now() + 5000;
  return { getRemainingTimeInMillis: () => end - Date.now() };
}

async function mint() {
  const answer = await functions.mint(event('GET', '/url', ''), context());
  if (answer?.status !== '200') throw new Error(`mint answered ${JSON.stringify(answer)}`);
  urls.push(answer.body);
}

const step = (method, url, more, headers) => {
  const question = url.indexOf('?');
  return functions.gate(event(method, url.slice(url.indexOf('/', 8), question), url.slice(question + 1) + more, {
    origin: header('Origin', 'https://app.example.com'),
    ...headers,
  }), context());
};

const decide = (url) => step('PUT', url, '', {
  'content-length': header('Content-Length', '1048576'),
  'content-type': header('Content-Type', 'image/jpeg'),
});

// start starts the upload in parts of a new URL.
async function start() {
  await mint();
  const answer = await step('POST', urls.at(-1), '&uploads', {});
  if (answer?.status !== '200') throw new Error(`start answered ${JSON.stringify(answer)}`);
}

// part asks for one part of the upload that was started last.
async function part() {
  const answer = await step('PUT', urls.at(-1), '&partNumber=7', { 'content-length': header('Content-Length', '8388608') });
  if (answer?.method !== 'PUT' || !answer.querystring) throw new Error(`gate refused a part: ${JSON.stringify(answer)}`);
}

async function gate() {
  const url = urls.shift();
  const answer = await decide(url);
  if (answer?.method !== 'PUT' || !answer.querystring) throw new Error(`gate refused: ${JSON.stringify(answer)}`);
}

// several makes n calls, a number of them at a time, and returns how long each took.
async function several(call, { n = 1, concurrency = 1 }) {
  const times = [];
  let left = n;
  await Promise.all(Array.from({ length: Math.min(concurrency, n) }, async () => {
    while (left-- > 0) {
      const began = performance.now();
      await call();
      times.push(performance.now() - began);
    }
  }));
  return { times };
}

// memory returns the bytes that the process holds, and the most it ever held. That is
// VmHWM, because ru_maxrss is inherited from the process that started this one.
function memory() {
  let status = '';
  try {
    status = readFileSync('/proc/self/status', 'utf8');
  } catch { /* not Linux */ }
  const kilobytes = (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) * 1024;
  return {
    rss: kilobytes('VmRSS') || process.memoryUsage.rss(),
    peak: kilobytes('VmHWM') || process.resourceUsage().maxRSS * 1024,
  };
}

const commands = {
  // As Lambda does it: a CommonJS module with require, others with import.
  load: async () => {
    used = process.cpuUsage();
    functions = file.endsWith('.cjs') ? createRequire(file)(file) : await import(file);
  },
  mint: (options) => several(mint, options),
  gate: (options) => several(gate, options),
  start: (options) => several(start, options),
  part: (options) => several(part, options),
  memory,
  // once proves that a URL passes once, because a fast candidate must not be a wrong one.
  once: async () => {
    await mint();
    const [url] = urls;
    await gate();
    const again = await decide(url);
    if (again?.status !== '403') throw new Error(`a URL passed twice: ${JSON.stringify(again)}`);
  },
  // idle lets postponed work run.
  idle: ({ ms }) => new Promise((resolve) => { setTimeout(resolve, ms); }),
};

const buffer = Buffer.alloc(4096);
for (let text = ''; ;) {
  const n = readSync(3, buffer);
  if (n === 0) process.exit(0);
  text += buffer.toString('utf8', 0, n);
  if (!text.endsWith('\n')) continue;
  const command = JSON.parse(text);
  text = '';
  const began = performance.now();
  let answer;
  try {
    answer = await commands[command.do](command);
  } catch (error) {
    answer = { error: String(error.stack ?? error) };
  }
  const wall = performance.now() - began;
  const now = process.cpuUsage();
  const cpu = (now.user + now.system - used.user - used.system) / 1000;
  writeSync(3, `${JSON.stringify({ wall, cpu, ...answer })}\n`);
  used = now;
}
