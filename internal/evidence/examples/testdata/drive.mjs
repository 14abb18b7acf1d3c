// Opens an example's page in a headless Chromium as a person does: chooses files, and
// waits until every line says how its upload ended. On the way, when the URL "at" has answered,
// it loads the page again, or clicks on "Pause" and on "Go on". Writes the lines as JSON.
//
//   node drive.mjs chromium user-data-dir page-url < {"files", "line", "ended", "at", "then"}
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const [executablePath, directory, page] = process.argv.slice(2);
const { files, line, ended, at, then } = JSON.parse(await text(process.stdin));

// keptByUppy reports, in the page, whether a reload would find which upload is under way.
async function keptByUppy() {
  const answer = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: reject }));
  const db = await answer(indexedDB.open('uppy-blobs'));
  const kept = await answer(db.transaction('metadata').objectStore('metadata').getAll());
  db.close();
  return kept.some(({ metadata }) => metadata.includes('uploadId'));
}

const browser = await chromium.launchPersistentContext(directory, {
  executablePath, headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
try {
  const tab = await browser.newPage();
  tab.on('pageerror', (error) => console.error(`in the page: ${error}`));
  await tab.goto(page);
  await tab.setInputFiles('input[type=file]', files);
  if (then) {
    await fetch(at);
    while (!await tab.evaluate(keptByUppy)) await setTimeout(100); // it writes twice a second
  }
  if (then === 'reload') await tab.reload();
  if (then === 'pause') {
    await tab.click('text=Pause');
    await tab.click('text=Go on');
  }
  const lines = await tab.waitForFunction(({ count, line, ended }) => {
    const lines = [...document.querySelectorAll(line)].map((element) => element.textContent);
    return lines.length === count && lines.every((l) => new RegExp(ended).test(l)) && lines;
  }, { count: files.length, line, ended }, { timeout: 60_000 });
  process.stdout.write(JSON.stringify(await lines.jsonValue()));
} finally {
  await browser.close();
}
