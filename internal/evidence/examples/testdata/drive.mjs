// Opens an example's page in a headless Chromium as a person does: chooses files, and
// waits until every line says how its upload ended. Writes the lines as JSON.
//
//   node drive.mjs chromium user-data-dir page-url < {"files", "line", "ended"}
import { text } from 'node:stream/consumers';
import { chromium } from 'playwright-core';

const [executablePath, directory, page] = process.argv.slice(2);
const { files, line, ended } = JSON.parse(await text(process.stdin));
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
  const lines = await tab.waitForFunction(({ count, line, ended }) => {
    const lines = [...document.querySelectorAll(line)].map((element) => element.textContent);
    return lines.length === count && lines.every((l) => new RegExp(ended).test(l)) && lines;
  }, { count: files.length, line, ended }, { timeout: 60_000 });
  process.stdout.write(JSON.stringify(await lines.jsonValue()));
} finally {
  await browser.close();
}
