// Plays one scenario in a headless Chromium: node run.mjs < {"scenario", "site", "files",
// "browser", "directory"}. Writes as JSON what was stored. What is not as it should be ends
// it with an error.
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { chromium } from 'playwright-core';

import { scenarios } from './scenarios.mjs';

const { scenario, site, files, browser: executablePath, directory } = JSON.parse(await text(process.stdin));
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** A person at a device: one browser context with one tab. */
class Person {
  problems = [];

  static async arrive(context) {
    const person = new Person();
    person.context = context;
    // Written before any script of the page runs, and kept across reloads.
    await context.exposeBinding('reportBreach', (_, what) => { person.problems.push(`breach of the policy: ${what}`); });
    await context.addInitScript(() => {
      addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => globalThis.reportBreach(`${violatedDirective} ${blockedURI}`));
    });
    person.tab = context.pages()[0] ?? await context.newPage();
    person.tab.on('pageerror', (error) => person.problems.push(`error in the page: ${error.stack}`));
    person.tab.on('console', (message) => {
      // Chromium writes an error for each answer over 399, also where the page expects it.
      const expected = /^Failed to load resource/.test(message.text()) && /\/(url|invitation|uploads\/)/.test(message.location().url);
      if (['error', 'warning'].includes(message.type()) && !expected) person.problems.push(`console: ${message.text()}`);
    });
    person.tab.on('filechooser', () => {}); // from now on they are Playwright's
    person.tab.on('dialog', (dialog) => dialog.accept()); // "leave the page?"
    return person;
  }

  async open(fragment) {
    await this.tab.goto(`${site}/upload#${fragment}`);
    await this.tab.waitForFunction(() => document.querySelector('#reading').hidden &&
      ['gone', 'drop', 'sending'].some((id) => !document.getElementById(id).hidden));
  }

  choose(...names) {
    return this.tab.setInputFiles('#chosen', names.map((name) => files[name].path));
  }

  /** The files that are shown: name, state, and what is said. */
  list() {
    return this.tab.$$eval('#list li', (rows) => rows.map((row) => ({
      name: row.querySelector('bdi').textContent, state: row.dataset.state, said: row.querySelector('.state').textContent,
      buttons: [...row.querySelectorAll('button')].map((b) => b.textContent),
    })));
  }

  /** Waits until the files are in these states, by name. */
  async until(wanted) {
    try {
      await this.tab.waitForFunction((wanted) => {
        const rows = [...document.querySelectorAll('#list li')];
        return rows.length === Object.keys(wanted).length &&
          rows.every((row) => wanted[row.querySelector('bdi').textContent]?.split('|').includes(row.dataset.state));
      }, wanted, { timeout: 60_000, polling: 50 });
    } catch (error) {
      throw new Error(`want ${JSON.stringify(wanted)}, the page shows ${JSON.stringify(await this.list())}`, { cause: error });
    }
  }

  button(action, name) { return this.tab.getByRole('button', { name: `${action}: ${name}`, exact: true }); }

  seen(id) { return this.tab.locator(`#${id}`).isVisible(); }

  said(id) { return this.tab.locator(`#${id}`).innerText(); }

  /** Nothing is wrong with what is shown now. */
  async isGood(state, { rules = {} } = {}) {
    await this.tab.evaluate(axe);
    // axe asks what lies over what, which the browser knows of a page that was drawn.
    await this.tab.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    const found = await this.tab.evaluate(async (rules) => {
      const { violations } = await globalThis.axe.run(document, { rules, resultTypes: ['violations'] });
      return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ').slice(0, 300)}`);
    }, rules);
    assert.deepEqual(found, [], `axe, ${state}`);
    const [width, inner] = await this.tab.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= inner, `${state}: ${width} px wide in ${inner}`);
    assert.deepEqual(this.problems, [], state);
  }
}

const context = await chromium.launchPersistentContext(directory, {
  executablePath, headless: true, locale: 'en-GB', viewport: { width: 1100, height: 800 },
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
process.on('SIGTERM', () => context.close());
try {
  const control = async (verb, query = {}, body) => {
    const answer = await fetch(`${site}/-/${verb}?${new URLSearchParams(query)}`, { method: body ? 'POST' : 'GET', body: body && JSON.stringify(body) });
    assert.equal(answer.status, 200, verb);
    return answer.text();
  };
  await control('reset');
  const stored = {};
  const notes = [];
  const world = {
    site, files, control, notes,
    me: await Person.arrive(context),
    /** Somebody at another device. */
    other: async (options) => Person.arrive(await context.browser().newContext({ locale: 'en-GB', ...options })),
    /** Makes an invitation and returns its token. */
    invite: async (what = {}) => {
      const token = `ogi_${'0123456789abcdef'.repeat(4)}${Math.random().toString(16).slice(2, 10).padEnd(8, '0')}`;
      await control('invite', { token }, { label: 'Acme, invoices May', uploads: 5, ...what });
      return token;
    },
    mint: async () => new URL((await (await fetch(`${site}/url`)).text()).trim()),
    seen: async () => JSON.parse(await control('seen')),
    /** Waits until S3 has these parts. What the page has sent, S3 may not have yet. */
    kept: async (...parts) => {
      while (!await world.seen().then((seen) => parts.every((part) => seen[`stored ${part}`]))) await setTimeout(50);
    },
    stored: (name, path) => { stored[name] = path.replace(/^\//, ''); },
  };
  // Which object a file became is seen from the requests.
  for (const person of [world.me]) watch(person);
  function watch(person) {
    person.completed = [];
    const events = new EventEmitter();
    /** The paths of the URLs of this many files, as soon as they are complete. */
    person.completions = async (n) => {
      while (person.completed.length < n) await once(events, 'completed');
      assert.equal(person.completed.length, n);
      return person.completed;
    };
    person.tab.on('requestfinished', async (request) => {
      const url = new URL(request.url());
      const done = url.searchParams.has('complete') || (request.method() === 'PUT' && url.pathname.startsWith('/uploads/') && !url.searchParams.has('partNumber'));
      if (done && (await request.response())?.status() === 200) events.emit('completed', person.completed.push(url.pathname));
    });
  }
  world.watch = watch;
  await scenarios[scenario](world);
  assert.deepEqual(world.me.problems, []);
  process.stdout.write(JSON.stringify({ stored, notes }));
} finally {
  await context.close();
}
