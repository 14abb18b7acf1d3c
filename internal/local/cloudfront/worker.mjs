// What Lambda's Node runtime does around a function, for one invocation at a
// time: reads {event, context, deadline} lines from descriptor 3 and writes
// {result} or {error} lines to descriptor 4, the first of them once the module
// is loaded. Standard output and standard error are the function's own.
import { Socket } from 'node:net';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const [handlerName] = process.argv.slice(1);
const [module, name] = handlerName.split('.');
const input = new Socket({ fd: 3, readable: true, writable: false });
const output = new Socket({ fd: 4, readable: false, writable: true });
const answer = (value) => output.write(JSON.stringify(value) + '\n');
const told = (e) => ({ error: e instanceof Error ? (e.stack ?? String(e)) : `thrown: ${String(e)}` });

// The parent is gone: so is everybody who could use an answer.
input.on('end', () => process.exit());
output.on('error', () => process.exit());

let handler;
try {
  handler = (await import(pathToFileURL(join(process.env.LAMBDA_TASK_ROOT, `${module}.mjs`)).href))[name];
  if (typeof handler !== 'function') throw new Error(`${module}.mjs exports no function ${name}`);
  // Node 24's runtime refuses these; the code must run on both.
  if (handler.length > 2) throw new Error(`${handlerName} takes a callback; only async handlers work`);
  answer({ result: null });
} catch (e) {
  answer(told(e));
}

let pending = '';
input.setEncoding('utf8');
input.on('data', async (chunk) => {
  pending += chunk;
  const end = pending.indexOf('\n');
  if (end < 0) return;
  const { event, context, deadline } = JSON.parse(pending.slice(0, end));
  pending = pending.slice(end + 1);
  context.getRemainingTimeInMillis = () => Math.max(0, deadline - Date.now());
  let reply;
  try {
    const result = await handler(event, context);
    reply = JSON.stringify({ result: result ?? null });
  } catch (e) {
    reply = JSON.stringify(told(e));
  }
  output.write(reply + '\n');
});
