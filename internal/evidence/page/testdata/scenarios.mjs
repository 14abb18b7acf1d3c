// What people do on the page. Each scenario gets the world of run.mjs.
import assert from 'node:assert/strict';

const fragment = (url) => url.pathname + url.search;
/** The one file that a person has sent. */
const lone = async (person, world, name) => world.stored(name, (await person.completions(1))[0]);

export const scenarios = {
  async single(world) {
    const { me, mint, files, control } = world;
    const url = await mint();
    await me.open(fragment(url));
    assert.match(await me.said('facts'), /One file, once[\s\S]*Until /);
    assert.equal(await me.tab.locator('#choose').innerText(), 'Choose a file');
    await me.isGood('empty');
    await control('hold', { part: 2 });
    await me.choose('medium.bin');
    await control('waiting');
    await me.tab.waitForFunction(() => {
      const [bar, all] = [document.querySelector('#list progress').value, document.querySelector('#bar').value];
      return bar > 0.2 && bar < 1 && all > 0.2 && all < 1;
    });
    await control('go');
    await me.until({ 'medium.bin': 'stored' });
    assert.equal(await me.said('sum'), 'All is stored. You may close this page.');
    assert.equal(await me.seen('drop'), false, 'a link for one file takes no second one');
    assert.equal(await me.seen('receipt'), true);
    await me.tab.waitForFunction((sum) => document.querySelector('#list dl').textContent.includes(sum), files['medium.bin'].sha256);
    await me.isGood('stored');
    await lone(me, world, 'medium.bin');
    await me.tab.reload();
    await me.until({ 'medium.bin': 'stored' });
    await me.isGood('stored, and loaded again');
    const you = await world.other();
    await you.open(fragment(url));
    await you.choose('two.txt');
    await you.until({ 'two.txt': 'failed' });
    assert.match((await you.list())[0].said, /this link has been used for another file/);
    assert.match(await you.said('gone-title'), /This link has been used/);
    await you.isGood('used');
  },

  async noLink({ me }) {
    await me.open('');
    assert.equal(await me.said('gone-title'), 'A link is needed');
    assert.equal(await me.tab.evaluate(() => document.activeElement.id), 'gone-title');
    await me.isGood('no link');
    await me.open('something else');
    assert.equal(await me.said('gone-title'), 'A link is needed');
  },

  async unknownLinks({ me, mint }) {
    await me.open(`ogi_${'0'.repeat(72)}`);
    assert.equal(await me.said('gone-title'), 'This link is not valid');
    assert.equal(await me.seen('drop'), false);
    await me.isGood('unknown invitation');
    const url = await mint();
    url.searchParams.set('X-Amz-Signature', '0'.repeat(64));
    await me.open(url.pathname + url.search);
    assert.equal(await me.said('gone-title'), 'This link is not valid');
    await me.isGood('unknown URL');
    // A URL that one PUT has spent.
    const used = await mint();
    assert.equal((await fetch(used, { method: 'PUT', body: 'x' })).status, 200);
    await me.open(fragment(used));
    assert.equal(await me.said('gone-title'), 'This link has been used');
    assert.equal(await me.seen('drop'), false);
  },

  async threeFiles(world) {
    const { me, invite, control } = world;
    const token = await invite({ maxBytes: 25e6 });
    await control('cut', { part: 2 });
    await me.open(token);
    assert.equal(await me.said('label'), 'Acme, invoices May');
    assert.match(await me.said('facts'), /Left: 5 of 5[\s\S]*At most 25 MB each[\s\S]*Until /);
    await me.isGood('invitation');
    await me.choose('one.txt', 'medium.bin', 'large.bin');
    await me.until({ 'one.txt': 'stored', 'medium.bin': 'stored', 'large.bin': 'failed' });
    const [, , large] = await me.list();
    assert.equal(large.said, 'Too large. At most 25 MB.');
    assert.equal(await me.said('sum'), 'Not everything is stored. See what is marked below.');
    await me.tab.waitForFunction(() => /Left: 3 of 5/.test(document.querySelector('#facts').innerText));
    const seen = await world.seen();
    assert.equal(seen['POST /url'], 2, 'what is too large asks for no URL');
    assert.equal(seen['PUT partNumber 2'], 2, 'the part that broke off, and again');
    assert.equal(seen['PUT partNumber 3'], 1);
    await me.isGood('two stored, one refused');
    await me.button('Remove', 'large.bin').click();
    assert.equal(await me.said('sum'), 'All is stored. You may close this page.');
    // The small one is complete first, unless it is not: the larger has three parts.
    const sizes = await me.tab.evaluate(() => JSON.stringify(Object.values(localStorage)));
    assert.ok(!/X-Amz-Signature/.test(sizes), 'what was spent is not kept');
    assert.ok(!sizes.includes(token) && !(await me.tab.evaluate(() => Object.keys(localStorage).join())).includes(token), 'the link is not kept');
    for (const path of await me.completions(2)) world.stored(seenName(await me.tab.evaluate(() => globalThis.performance.getEntriesByType('resource').map(({ name }) => name)), path), path);
  },

  async reload(world) {
    const { me, invite, control } = world;
    const token = await invite();
    await me.open(token);
    await control('hold', { part: 3 });
    await me.choose('medium.bin');
    assert.equal(await control('waiting'), '3');
    await world.kept(1, 2);
    await me.tab.waitForFunction(() => document.querySelector('#list progress').value > 0.79);
    await me.isGood('sending');
    assert.equal(await me.seen('keep-open'), true);
    const before = await world.seen();
    await me.tab.reload();
    await me.until({ 'medium.bin': 'again' });
    assert.match((await me.list())[0].said, /Not finished. Choose this file again/);
    await me.isGood('to be chosen again');
    await control('go');
    const [chooser] = await Promise.all([me.tab.waitForEvent('filechooser'), me.button('Choose again', 'medium.bin').click()]);
    await chooser.setFiles(world.files['medium.bin'].path);
    await me.until({ 'medium.bin': 'stored' });
    const after = await world.seen();
    assert.equal(after['POST /url'], 1, 'the URL is the one of before');
    assert.equal(after['PUT partNumber 1'], before['PUT partNumber 1'], 'what was there is not sent again');
    assert.equal(after['PUT partNumber 2'], before['PUT partNumber 2']);
    await lone(me, world, 'medium.bin');
  },

  async reloadSingle(world) {
    const { me, mint, control } = world;
    const url = await mint();
    await me.open(fragment(url));
    await control('hold', { part: 3 });
    await me.choose('medium.bin');
    await control('waiting');
    await world.kept(1);
    await me.tab.waitForFunction(() => document.querySelector('#list progress').value > 0.79);
    // To stop keeps what was sent; the URL is the link's and stays good.
    await me.button('Stop', 'medium.bin').click();
    await me.until({ 'medium.bin': 'stopped' });
    await me.isGood('stopped');
    await me.tab.reload();
    await me.until({ 'medium.bin': 'again' });
    await control('go');
    await me.choose('medium.bin');
    await me.until({ 'medium.bin': 'stored' });
    assert.equal((await world.seen())['PUT partNumber 1'], 1);
    await lone(me, world, 'medium.bin');
  },

  async secondDevice(world) {
    const { me, invite, other } = world;
    const token = await invite({ uploads: 2 });
    await me.open(token);
    await me.choose('one.txt');
    await me.until({ 'one.txt': 'stored' });
    const you = await other();
    world.watch(you);
    await you.open(token);
    assert.match(await you.said('facts'), /Left: 1 of 2/);
    assert.deepEqual(await you.list(), [], 'another device knows nothing of what this one has sent');
    await you.choose('two.txt');
    await you.until({ 'two.txt': 'stored' });
    assert.match(await you.said('facts'), /Left: [01] of 2/);
    await you.isGood('second device');
    await lone(me, world, 'one.txt');
    await lone(you, world, 'two.txt');
  },

  async full(world) {
    const { me, invite } = world;
    await me.open(await invite({ uploads: 1 }));
    await me.choose('one.txt');
    await me.until({ 'one.txt': 'stored' });
    await lone(me, world, 'one.txt');
    await me.choose('two.txt');
    await me.until({ 'one.txt': 'stored', 'two.txt': 'failed' });
    const [, two] = await me.list();
    assert.match(two.said, /No place is left in this link/);
    assert.deepEqual(two.buttons, ['Try again', 'Remove']);
    assert.match(await me.said('facts'), /Left: 0 of 1/);
    await me.isGood('full');
  },

  async cancel(world) {
    const { me, invite, control } = world;
    await me.open(await invite({ uploads: 1 }));
    await control('hold', { part: 1 });
    await me.choose('medium.bin');
    await control('waiting');
    await me.tab.waitForFunction(() => /Left: 1 of 1/.test(document.querySelector('#facts').innerText));
    await me.button('Cancel', 'medium.bin').click();
    await me.until({});
    await control('go');
    // Its place is free again before the next file asks for one: the URL was given up.
    await me.choose('one.txt');
    await me.until({ 'one.txt': 'stored' });
    assert.equal((await world.seen())['DELETE file'], 1);
    assert.deepEqual(await me.tab.evaluate(() => Object.values(localStorage).join().includes('X-Amz')), false);
    await lone(me, world, 'one.txt');
  },

  async revoked(world) {
    await ended(world, 'invitation-revoked', 'This link was withdrawn');
  },

  async expired(world) {
    await ended(world, 'invitation-over', 'This link has run out');
  },

  async offline(world) {
    const { me, invite, control } = world;
    await me.open(await invite());
    await control('hold', { part: 2 });
    await me.choose('medium.bin');
    await control('waiting');
    await me.context.setOffline(true);
    await me.tab.waitForFunction(() => !document.querySelector('#offline').hidden);
    await me.isGood('offline');
    assert.match(await me.said('offline'), /goes on by itself/);
    await control('go');
    await me.context.setOffline(false);
    await me.until({ 'medium.bin': 'stored' });
    assert.equal(await me.seen('offline'), false);
    me.problems = me.problems.filter((p) => !/ERR_INTERNET_DISCONNECTED/.test(p));
    await lone(me, world, 'medium.bin');
  },

  async ways(world) {
    const { me, invite } = world;
    await me.open(await invite());
    const drop = (event, names, folder) => me.tab.evaluate(([event, names]) => {
      const data = new DataTransfer();
      for (const name of names) data.items.add(new File([name], name, { type: 'text/plain' }));
      if (event === 'paste') dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
      else for (const type of ['dragover', 'drop']) document.querySelector('#drop').dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
    }, [event, names, folder]);
    await drop('drop', ['dropped.txt']);
    await me.until({ 'dropped.txt': 'stored' });
    await drop('paste', ['pasted.png']);
    await me.until({ 'dropped.txt': 'stored', 'pasted.png': 'stored' });
    assert.equal(await me.tab.evaluate(() => document.querySelector('#drop').classList.contains('over')), false);
    await me.choose('empty.txt');
    await me.until({ 'dropped.txt': 'stored', 'pasted.png': 'stored', 'empty.txt': 'failed' });
    assert.equal((await me.list())[2].said, 'This file is empty.');
    await me.choose('one.txt');
    await me.until({ 'dropped.txt': 'stored', 'pasted.png': 'stored', 'empty.txt': 'failed', 'one.txt': 'stored' });
    await me.choose('one.txt');
    assert.match(await me.said('note'), /one.txt is in the list already/);
    await me.isGood('a note');
    // A phone has a camera.
    const phone = await world.other({ hasTouch: true, isMobile: true, viewport: { width: 390, height: 780 } });
    await phone.open(await invite({ type: 'image/*,application/pdf' }));
    assert.match(await phone.said('facts'), /Only images or PDF/);
    const [chooser] = await Promise.all([phone.tab.waitForEvent('filechooser'), phone.tab.locator('#photo').click()]);
    await chooser.setFiles(world.files['photo.png'].path);
    await phone.until({ 'photo.png': 'stored' });
    await phone.choose('one.txt');
    await phone.until({ 'photo.png': 'stored', 'one.txt': 'failed' });
    assert.equal((await phone.list())[1].said, 'Files of this kind are not taken here. Taken: images or PDF.');
    await phone.isGood('phone');
  },

  async keyboard(world) {
    const { me, invite, control } = world;
    await me.open(await invite({ uploads: 1 }));
    await me.tab.keyboard.press('Tab');
    assert.equal(await me.tab.evaluate(() => document.activeElement.id), 'choose');
    const [chooser] = await Promise.all([me.tab.waitForEvent('filechooser'), me.tab.keyboard.press('Enter')]);
    await control('hold', { part: 1 });
    await chooser.setFiles(world.files['two.txt'].path);
    await control('waiting');
    assert.equal(await me.tab.evaluate(() => document.activeElement.id), 'choose', 'the focus stays where it was');
    await me.tab.keyboard.press('Tab');
    assert.equal(await me.tab.evaluate(() => document.activeElement.id), 'remark');
    await me.tab.keyboard.press('Tab');
    assert.equal(await me.tab.evaluate(() => document.activeElement.textContent), 'Cancel');
    await me.tab.keyboard.press('Space');
    await me.until({});
    await me.tab.waitForFunction(() => document.activeElement !== document.body);
    await control('go');
    await me.choose('one.txt');
    await me.until({ 'one.txt': 'stored' });
    assert.equal(await me.tab.locator('#said').textContent(), `one.txt: ${(await me.list())[0].said}`, 'a screen reader hears of it');
    await lone(me, world, 'one.txt');
  },

  async languages(world) {
    const token = await world.invite({ maxBytes: 25e6 });
    const titles = { de: 'Dateien senden', 'fr-CA': 'Envoyer des fichiers', 'es-MX': 'Enviar archivos', ja: 'ファイルを送る', nl: 'Send files' };
    for (const [locale, title] of Object.entries(titles)) {
      for (const colorScheme of ['light', 'dark']) {
        const you = await world.other({ locale, colorScheme, viewport: { width: 320, height: 640 } });
        await you.open(token);
        assert.equal(await you.tab.locator('h1').innerText(), title);
        assert.equal(await you.tab.title(), title);
        assert.equal(await you.tab.evaluate(() => document.documentElement.lang), locale === 'nl' ? 'en' : locale.slice(0, 2));
        await you.choose('large.bin');
        await you.until({ 'large.bin': 'failed' });
        assert.equal(await you.tab.evaluate(() => /\{\w+\}|undefined|null/.test(document.body.innerText)), false, await you.tab.locator('body').innerText());
        await you.isGood(`${locale}, ${colorScheme}`);
        await you.context.close();
      }
    }
    // From right to left nothing is cut off, and the rows are the other way round.
    const you = await world.other({ viewport: { width: 600, height: 700 } });
    await you.open(token);
    await you.choose('large.bin');
    await you.until({ 'large.bin': 'failed' });
    await you.tab.evaluate(() => { document.documentElement.dir = 'rtl'; });
    const [name, actions] = await you.tab.evaluate(() => ['.name', '.actions'].map((c) => document.querySelector(`#list ${c}`).getBoundingClientRect().x));
    assert.ok(name > actions, `name at ${name}, buttons at ${actions}`);
    await you.isGood('right to left');
  },

  async small(world) {
    const { invite } = world;
    // 320 px are also what is left of 1280 at 400 %, and 640 at 200 %.
    const you = await world.other({ viewport: { width: 320, height: 480 }, reducedMotion: 'reduce', forcedColors: 'active' });
    world.watch(you);
    await you.open(await invite({ label: 'Averylongwordwithoutanyspaceinitthatdoesnotfitintoonelineofaphone' }));
    await you.choose('one.txt');
    await you.until({ 'one.txt': 'stored' });
    await you.isGood('320 px');
    await lone(you, world, 'one.txt');
    const durations = await you.tab.evaluate(() => getComputedStyle(document.querySelector('#drop')).transitionDuration);
    assert.equal(durations, '0s');
  },

  async hostileName(world) {
    const { me, invite } = world;
    await me.open(await invite({ label: '<b>label</b><script>x</script>' }));
    const name = '<img src=x onerror=alert(1)>\u202e\u{1f468}\u200d\u{1f469}\ufe0f/..\\.txt';
    await me.tab.evaluate((name) => {
      const data = new DataTransfer();
      data.items.add(new File(['x'], name));
      dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
    }, name);
    await me.tab.waitForFunction(() => document.querySelector('#list li')?.dataset.state === 'stored');
    assert.equal(await me.tab.locator('#list bdi').textContent(), name);
    assert.equal(await me.tab.locator('#label').textContent(), '<b>label</b><script>x</script>');
    assert.equal(await me.tab.locator('main img').count(), 0);
    await me.isGood('hostile name');
    // A name that the deployment does not take, of a character that is newer than its tables, say:
    // the file is sent without it.
    await me.tab.route('**/url', (route) => {
      const order = route.request().postDataJSON();
      return route.continue({ postData: JSON.stringify(order.name ? { name: 'a/b' } : order) });
    });
    await me.choose('two.txt');
    await me.until({ [name]: 'stored', 'two.txt': 'stored' });
    assert.equal((await world.seen())['POST /url'], 3);
  },

  async receipt(world) {
    const { me, invite, files } = world;
    await me.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await me.open(await invite());
    await me.choose('one.txt');
    await me.until({ 'one.txt': 'stored' });
    await me.tab.waitForFunction((sum) => document.querySelector('#list dl').textContent.includes(sum), files['one.txt'].sha256);
    await me.tab.locator('#copy').click();
    await me.tab.waitForFunction(() => document.querySelector('#copy').textContent === 'Copied');
    const copied = await me.tab.evaluate(() => navigator.clipboard.readText());
    const [download] = await Promise.all([me.tab.waitForEvent('download'), me.tab.locator('#download').click()]);
    assert.equal(download.suggestedFilename(), 'Receipt.txt');
    const { readFileSync } = await import('node:fs');
    assert.equal(readFileSync(await download.path(), 'utf8'), copied);
    for (const want of [/^Send files: Acme, invoices May\n/, /File: one\.txt\nSize: 1 byte\nStored: \d{4}-\d\d-\d\dT/, /Number: [0-9a-f]{64}\n/, new RegExp(`SHA-256: ${files['one.txt'].sha256}\n`)]) assert.match(copied, want);
    assert.ok(!/ogi_|X-Amz/.test(copied), 'a receipt holds no secret');
    await me.tab.emulateMedia({ media: 'print' });
    assert.equal(await me.seen('drop'), false);
    assert.equal(await me.tab.locator('#list li').isVisible(), true);
    await me.tab.emulateMedia({ media: 'screen' });
    await me.tab.locator('#forget').click();
    await me.until({});
    assert.equal(await me.tab.evaluate(() => localStorage.length), 0);
    await me.isGood('forgotten');
    await lone(me, world, 'one.txt');
  },

  /** From the click on the last button of the dialog to the first byte of the file on its way. */
  async clickToFirst(world) {
    const { me, invite, notes } = world;
    const token = await invite({ uploads: 20 });
    await me.open(token);
    const times = [];
    for (let i = 0; i < 6; i++) {
      times.push(await me.tab.evaluate((i) => new Promise((resolve) => {
        const start = performance.now();
        new PerformanceObserver((list, observer) => {
          const part = list.getEntries().find(({ name, startTime }) => name.includes('partNumber=') && startTime >= start);
          if (!part) return;
          observer.disconnect();
          resolve(part.startTime - start);
        }).observe({ type: 'resource' });
        const data = new DataTransfer();
        data.items.add(new File(['x'], `file ${i}`));
        dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
      }), i));
    }
    notes.push(`from the choice to the first part: ${times.map((t) => t.toFixed(0)).join(', ')} ms`);
  },

  async embedded(world) {
    const { me, site, mint } = world;
    const url = await mint();
    const http = await import('node:http');
    const server = http.createServer((_, response) => response.setHeader('content-type', 'text/html').end(`<iframe src="${site}/upload#${fragment(url).replaceAll('&', '&amp;')}"></iframe>`));
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await me.tab.goto(`http://127.0.0.1:${server.address().port}/`);
      const frame = me.tab.frames().find((f) => f !== me.tab.mainFrame());
      assert.equal(await frame.locator('#choose').count(), 0, 'nobody may have the page in a frame');
      assert.ok(me.problems.some((p) => /frame-ancestors/.test(p)), `${me.problems}`);
      me.problems = [];
    } finally {
      server.closeAllConnections();
      server.close();
    }
  },

  /** A script that does not come, and a browser that is too old for it. */
  async doesNotLoad({ me, site }) {
    await me.tab.route('**/upload/app-*', (route) => route.fulfill({ status: 404, body: '' }));
    await me.tab.goto(`${site}/upload`);
    await me.tab.locator('#loading').waitFor({ state: 'visible' });
    me.problems = me.problems.filter((p) => !/404/.test(p));
    await me.isGood('without its script');
    await me.tab.unroute('**/upload/app-*');
    await me.tab.addInitScript(() => { delete AbortSignal.any; });
    await me.tab.reload();
    assert.equal(await me.said('gone-title'), 'This browser is too old');
  },

  async remark(world) {
    const { me, invite } = world;
    await me.open(await invite());
    const note = me.tab.getByLabel('Note for the files chosen next (optional)');
    await note.fill(`  For\u200b  Jane\u202e, \u{1f600} ${'ä'.repeat(90)}`);
    await me.isGood('a note');
    await me.choose('one.txt');
    await me.until({ 'one.txt': 'stored' });
    const [given] = Object.keys(await world.seen()).filter((what) => what.startsWith('note '));
    assert.match(given, /^note For Jane, \u{1f600} ä+$/u);
    assert.ok(Buffer.byteLength(given.slice(5)) <= 128 && Buffer.byteLength(given.slice(5)) > 120);
    await lone(me, world, 'one.txt');
    await me.open(fragment(await world.mint()));
    await me.tab.waitForFunction(() => document.querySelector('#choose').textContent === 'Choose a file');
    assert.equal(await note.isVisible(), false, 'a one-time URL has been made already');
  },

  async refusedByServer(world) {
    const { me, mint, site } = world;
    const made = await (await fetch(`${site}/url?maxBytes=10&type=image/*&expires=3600`)).text();
    await me.open(fragment(new URL(made.trim())));
    await me.choose('one.txt');
    await me.until({ 'one.txt': 'failed' });
    assert.equal((await me.list())[0].said, 'Files of this kind are not taken here.');
    await me.choose('photo.png');
    await me.until({ 'photo.png': 'failed' });
    assert.equal((await me.list())[0].said, 'Too large for this link.');
    assert.equal(await me.seen('drop'), true, 'nothing was spent');
    await me.isGood('refused by the server');
    assert.ok(await mint());
  },
};

/** An invitation that the mint answers for: its bound, its places, and its end. */
scenarios.invitation = async (world) => {
  const { me, control } = world;
  await me.open(process.env.TOKEN);
  assert.equal(await me.said('label'), 'Acme, invoices May');
  assert.match(await me.said('facts'), /Left: 2 of 2[\s\S]*At most 25 MB each[\s\S]*Until /);
  await control('hold', { part: 1 });
  await me.choose('medium.bin');
  await control('waiting');
  await me.button('Cancel', 'medium.bin').click();
  await me.until({});
  await control('go');
  await me.choose('one.txt');
  await me.until({ 'one.txt': 'stored' });
  await me.choose('two.txt');
  await me.until({ 'one.txt': 'stored', 'two.txt': 'stored' });
  await me.tab.waitForFunction(() => /Left: 0 of 2/.test(document.querySelector('#facts').innerText));
  await me.choose('photo.png');
  await me.until({ 'one.txt': 'stored', 'two.txt': 'stored', 'photo.png': 'failed' });
  assert.match((await me.list())[2].said, /No place is left in this link/);
  await me.isGood('full');
  const [one, two] = await me.completions(2);
  world.stored('one.txt', one);
  world.stored('two.txt', two);
  await control('end');
  // The mint may go by what it has read for 30 s; either way nothing more is stored.
  await me.button('Try again', 'photo.png').click();
  await me.tab.waitForFunction(() => document.querySelectorAll('#list li')[2].dataset.state === 'failed');
  await me.tab.reload();
  await me.until({ 'one.txt': 'stored', 'two.txt': 'stored' });
};

/** What the owner says of the page, also in a frame. */
scenarios.owner = async (world) => {
  const { me, invite } = world;
  const token = await invite();
  for (const colorScheme of ['light', 'dark']) {
    await me.tab.emulateMedia({ colorScheme });
    await me.open(token);
    assert.equal(await me.tab.locator('h1').innerText(), 'Send us <your> files');
    assert.equal(await me.tab.title(), 'Send us <your> files');
    assert.equal(await me.tab.evaluate(() => document.querySelector('.logo').naturalWidth > 0), true, 'the logo is shown');
    assert.equal(await me.tab.evaluate(() => getComputedStyle(document.querySelector('#choose')).backgroundColor), 'rgb(255, 212, 0)');
    assert.equal(await me.tab.getByRole('link', { name: 'files@example.com' }).getAttribute('href'), 'mailto:files@example.com');
    assert.equal(await me.tab.getByRole('link', { name: 'Privacy' }).getAttribute('href'), 'https://example.com/privacy');
    await me.isGood(`the owner's page, ${colorScheme}`);
  }
  await me.tab.goto(`${process.env.EMBEDDER}/?link=${token}`);
  const frame = me.tab.frameLocator('iframe');
  await frame.locator('#chosen').setInputFiles(world.files['one.txt'].path);
  await frame.locator('#list li[data-state=stored]').waitFor();
  await lone(me, world, 'one.txt');
};

/** One PUT for each file. */
scenarios.whole = async (world) => {
  const { me, mint, control, invite } = world;
  const url = await mint();
  await me.open(fragment(url));
  await me.choose('one.txt');
  await me.until({ 'one.txt': 'stored' });
  assert.equal(await me.said('keep-open').catch(() => ''), '');
  await me.isGood('stored by one PUT');
  await lone(me, world, 'one.txt');
  for (const [way, breaks] of [['cut', () => {}], ['hold', async () => {
    await control('waiting');
    await me.button('Stop', 'medium.bin').click();
  }]]) {
    await me.open(fragment(await mint()));
    await me.until({});
    await control(way, { part: 'whole' });
    await me.choose('medium.bin');
    await breaks();
    await me.until({ 'medium.bin': 'failed' });
    assert.match((await me.list())[0].said, /it is not known whether the file was stored/, way);
    await me.isGood('perhaps stored');
    await control('go');
    await me.tab.reload();
    await me.until({});
  }
  // Of an invitation the next try has a URL of its own.
  await me.open(await invite());
  await control('cut', { part: 'whole' });
  await me.choose('two.txt');
  await me.until({ 'two.txt': 'failed' });
  await control('go');
  await me.button('Try again', 'two.txt').click();
  await me.until({ 'two.txt': 'stored' });
  assert.equal((await world.seen())['POST /url'], 2);
};

/** The pictures of docs/page.md. */
scenarios.screenshots = async (world) => {
  const { invite, control, other } = world;
  const give = (person, files) => person.tab.evaluate((files) => {
    const data = new DataTransfer();
    for (const [name, size, type] of files) data.items.add(new File([new Uint8Array(size)], name, { type, lastModified: 1 }));
    dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }));
  }, files);
  const shot = (person, name) => person.tab.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png`, fullPage: true, animations: 'disabled' });
  const pdf = 'application/pdf';
  const wide = { reducedMotion: 'reduce', viewport: { width: 900, height: 640 } };
  const invitation = { uploads: 20, maxBytes: 2e9, type: 'application/pdf,image/*' };
  for (const colorScheme of ['light', 'dark']) {
    const you = await other({ ...wide, colorScheme });
    await you.open(await invite(invitation));
    if (colorScheme === 'light') await shot(you, 'start-light');
    await give(you, [['Invoice 1042.pdf', 181_204, pdf]]);
    await you.until({ 'Invoice 1042.pdf': 'stored' });
    await control('hold', { part: 2 });
    await give(you, [['Site plan, north.pdf', 20e6, pdf], ['notes.docx', 15_220, 'application/msword'], ['Entrance.jpg', 3_402_118, 'image/jpeg']]);
    await control('waiting');
    await you.until({ 'Invoice 1042.pdf': 'stored', 'Site plan, north.pdf': 'sending', 'notes.docx': 'failed', 'Entrance.jpg': 'stored' });
    await you.tab.waitForFunction(() => document.querySelectorAll('#list progress')[1].value > 0.5);
    await shot(you, `sending-${colorScheme}`);
    await control('go');
    await you.context.close();
  }
  const phone = await other({ viewport: { width: 375, height: 720 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2, reducedMotion: 'reduce' });
  await phone.open(await invite(invitation));
  await shot(phone, 'phone');
};

/** An invitation that ends while the page is open. */
async function ended(world, reason, title) {
  const { me, invite, control } = world;
  const token = await invite();
  await me.open(token);
  await me.choose('one.txt');
  await me.until({ 'one.txt': 'stored' });
  await control('end', { token, reason });
  await me.choose('two.txt');
  await me.until({ 'one.txt': 'stored', 'two.txt': 'failed' });
  assert.equal((await me.list())[1].said, 'Not sent: the link no longer holds.');
  assert.equal(await me.said('gone-title'), title);
  assert.equal(await me.seen('drop'), false);
  assert.equal(await me.tab.evaluate(() => document.activeElement.id), 'gone-title');
  await me.isGood(reason);
  await me.tab.reload();
  await me.until({ 'one.txt': 'stored' });
  assert.equal(await me.said('gone-title'), title);
  await me.isGood(`${reason}, loaded again`);
  await lone(me, world, 'one.txt');
}

/** Which file a path is of: the one of three parts is the larger one. */
const seenName = (resources, path) => (resources.some((name) => name.includes(path) && name.includes('partNumber=3')) ? 'medium.bin' : 'one.txt');
