// Opens a page in a headless Chromium and has it run one of the functions below with
// the argument on standard input; writes what it returned. Everything that it fetches
// is cross-origin to the page.
//
//   node fetch.mjs chromium user-data-dir page-url function < argument.json
import { text } from 'node:stream/consumers';
import { chromium } from 'playwright-core';

const inThePage = {
  // Makes requests and tells what a script may know of the answers.
  async requests(list) {
    const answers = [];
    for (const { method, url, size, type } of list) {
      const body = method === 'GET' ? undefined : new Blob([new Uint8Array(size).fill(120)]); // of no type
      const r = await fetch(url, { method, body, headers: type ? { 'content-type': type } : {} });
      answers.push({ status: r.status, reason: r.headers.get('x-oncegate-reason') ?? '', body: await r.text() });
    }
    return answers;
  },

  // What a web application does: asks for a URL, uploads as told, and once more.
  async application(mint) {
    const asked = await fetch(mint + '?type=text/csv&maxBytes=5', { headers: { accept: 'application/json' } });
    const { url, method, headers } = await asked.json();
    const put = async (body) => {
      const r = await fetch(url, { method, headers, body });
      return { status: r.status, reason: r.headers.get('x-oncegate-reason') ?? '', etag: r.headers.get('etag') ?? '', version: r.headers.get('x-amz-version-id') ?? '' };
    };
    const posted = await fetch(mint, {
      method: 'POST', body: JSON.stringify({ count: 2, label: 'page' }),
      headers: { accept: 'application/json', 'content-type': 'application/json', authorization: 'Bearer x', 'x-api-key': 'x' },
    });
    return { url, tooLarge: await put('123456'), first: await put('1,2,3'), second: await put('1,2,3'), posted: (await posted.json()).urls.length };
  },

  // Mints and uploads with headers and credentials as told, several times over, and then
  // with the last URL once more, if there was one.
  async uploads({ mint, tries }) {
    const answers = [];
    let url;
    const attempt = async (what) => {
      try {
        return await what();
      } catch (error) {
        return { error: error.name };
      }
    };
    const put = (init) => attempt(async () => {
      const r = await fetch(url, { method: 'PUT', body: 'x', ...init });
      return {
        url, status: r.status, reason: r.headers.get('x-oncegate-reason') ?? '', code: r.headers.get('x-amz-error-code') ?? '',
        version: r.headers.get('x-amz-version-id') ?? '',
      };
    });
    for (const { headers, credentials } of tries) {
      const init = { headers: headers ?? {}, credentials };
      const minted = await attempt(async () => ({ url: await (await fetch(mint, init)).text() }));
      url = minted.url ?? url;
      answers.push(minted.error ? minted : await put(init));
    }
    if (url) answers.push(await put({}));
    return answers;
  },

  // What a page of an origin that is not allowed gets to know.
  async stranger(mint) {
    try {
      return { status: (await fetch(mint)).status };
    } catch (error) {
      return { error: error.name };
    }
  },
};

const [executablePath, directory, page, name] = process.argv.slice(2);
const argument = JSON.parse(await text(process.stdin));
const browser = await chromium.launchPersistentContext(directory, {
  executablePath, headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
try {
  const tab = await browser.newPage();
  await tab.goto(page);
  process.stdout.write(JSON.stringify(await tab.evaluate(inThePage[name], argument)));
} finally {
  await browser.close();
}
