// The page: what happens when.
import { translate, text } from './format.js';
import { look, plainNote, readLink } from './link.js';
import { Pace } from './pace.js';
import { Queue, explain } from './queue.js';
import { openStore } from './store.js';
import { $, List, receipt, say, saying, showFacts, showGone } from './view.js';

$('loading').remove();
translate();
// Another link in the same tab changes nothing but the fragment.
addEventListener('hashchange', () => location.reload());
const link = readLink(location.hash);
// What the client needs, and browsers have since March 2024.
if (!AbortSignal.any) showGone('tooOld', 'tooOldWhy');
else if (link) open();
else showGone('noLink', 'noLinkWhy');

async function open() {
  $('gone').hidden = true;
  $('reading').hidden = false;
  const store = await openStore(link.secret);
  let facts;
  let gone;
  try {
    facts = await look(link);
  } catch (error) {
    gone = explain(error, { inParts: true }).gone;
    if (!gone) showGone('notRead', undefined, true);
  }
  $('reading').hidden = true;
  // What was stored on an earlier visit is shown even if the link has ended.
  if (facts || gone) start(facts, store);
  if (gone) end(gone);
}
$('reread').onclick = () => open();

/** The link has ended. What is under way may still be good. */
function end(gone) {
  $('drop').hidden = true;
  showGone(gone, gone === 'goneUnknown' ? 'askUnknown' : 'ask');
}

function start(facts, store) {
  const parts = document.body.dataset.multipart === 'true';
  if (!parts) $('keep-open').textContent = ''; // what it says holds for parts
  const pace = new Pace();
  let timer;
  let over = !facts;

  const show = () => {
    clearTimeout(timer);
    timer = undefined;
    const lost = list.show(queue.items, pace.rate);
    const taken = facts?.one && queue.items.some((item) => item.open || item.state === 'stored');
    const hides = over || taken;
    if (hides && $('drop').contains(document.activeElement)) $('files-title').focus();
    $('drop').hidden = hides;
    $('drop').classList.toggle('small', queue.items.length > 0);
    if (lost) home();
    if (queue.active) timer = setTimeout(show, 1000); // the time that is left
  };

  const tell = (item, progress) => {
    pace.note(item);
    if (progress) {
      timer ??= setTimeout(show, 100);
      return;
    }
    show();
    if (item.state === 'stored' || item.state === 'failed') say(`${item.name}: ${saying(item)}`);
    if (item.problem?.gone && !over) {
      over = true;
      end(item.problem.gone);
    }
    if (item.state === 'stored' || !queue.items.includes(item)) count();
    stayAwake();
  };

  /** Where the focus goes when what had it is gone. */
  const home = () => ($('drop').hidden ? $('sending').hidden ? $('gone-title') : $('files-title') : $('choose')).focus();

  const choose = () => $('chosen').click();
  const list = new List({
    stops: () => Boolean(facts?.one),
    stop: (item) => queue.cancel(item),
    cancel: (item) => queue.cancel(item),
    remove: (item) => (item.state === 'again' || item.state === 'failed' || item.state === 'stopped') && link.token ? queue.cancel(item) : queue.remove(item),
    retry: (item) => queue.retry(item),
    rechoose: choose,
  });
  const queue = new Queue({ link, limits: facts ?? {}, store, parts, tell });

  /** Asks anew how many uploads are left; others may use the same link. */
  async function count() {
    if (over || facts.one) return;
    try {
      Object.assign(facts, await look(link));
      showFacts(facts);
    } catch {} // the next file says it
  }

  const add = (files) => {
    if (over) return;
    const left = queue.add(files, facts.one ? '' : plainNote($('remark').value));
    note(left);
    show();
  };

  if (facts) {
    showFacts(facts);
    $('lead').textContent = text(facts.one ? 'dropOne' : 'drop');
    $('choose').textContent = text(facts.one ? 'chooseOne' : 'choose');
    $('chosen').multiple = !facts.one;
    $('chosen').accept = facts.type ?? '';
    $('photo').hidden = !matchMedia('(pointer: coarse)').matches || Boolean(facts.type && !facts.type.includes('image/'));
    $('remark-line').hidden = Boolean(facts.one);
    listen(add, choose);
  }
  listenToAll(queue, show);
  $('forget').onclick = () => {
    queue.forgetStored();
    show();
    home();
  };
  const written = () => receipt(queue.items, facts?.label);
  $('copy').hidden = !navigator.clipboard;
  $('copy').onclick = async () => {
    await navigator.clipboard.writeText(written());
    say(text('copied'));
    $('copy').textContent = text('copied');
    setTimeout(() => { $('copy').textContent = text('copy'); }, 3000);
  };
  $('download').onclick = () => {
    const a = document.createElement('a');
    a.href = URL.createObjectURL(new Blob([written()], { type: 'text/plain' }));
    a.download = `${text('receipt')}.txt`;
    a.click();
    URL.revokeObjectURL(a.href);
  };
  $('print').onclick = () => print();
  addEventListener('beforeprint', () => { for (const details of document.querySelectorAll('details')) details.open = true; });
  show();

  /** A phone that sleeps sends nothing. */
  let lock;
  async function stayAwake() {
    if (queue.active === Boolean(lock) || self !== top) return; // a frame may not
    try {
      if (lock) await lock.release();
      lock = queue.active ? await navigator.wakeLock?.request('screen') : undefined;
    } catch {
      lock = undefined; // not now, or not on this device
    }
  }
}

/** Says why something was left out, until the next time. */
function note(reasons) {
  $('note').textContent = reasons.map(({ key, values }) => text(key, values)).join(' ');
  $('note').hidden = !reasons.length;
}

/** Takes files in every way that a page can get them. */
function listen(add, choose) {
  $('choose').onclick = choose;
  $('photo').onclick = () => $('taken').click();
  for (const input of [$('chosen'), $('taken')]) {
    input.onchange = () => {
      const files = [...input.files];
      input.value = ''; // so that the same file can be chosen again
      add(files);
    };
  }
  addEventListener('paste', ({ clipboardData }) => add(clipboardData.files));
  const over = (event) => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    $('drop').classList.toggle('over', event.type === 'dragover');
  };
  addEventListener('dragover', over);
  addEventListener('dragleave', over);
  addEventListener('drop', (event) => {
    over(event);
    const files = [];
    const folders = [];
    for (const item of event.dataTransfer.items) {
      const file = item.kind === 'file' && item.getAsFile();
      if (file) (item.webkitGetAsEntry?.()?.isDirectory ? folders : files).push(file);
    }
    add(files);
    if (folders.length) note(folders.map(({ name }) => ({ key: 'folder', values: { name } })));
  });
}

function listenToAll(queue, show) {
  const online = () => {
    $('offline').hidden = navigator.onLine;
    if (navigator.onLine) queue.resume();
    else say(text('offline'));
    show();
  };
  addEventListener('online', online);
  addEventListener('offline', online);
  $('offline').hidden = navigator.onLine;
  addEventListener('beforeunload', (event) => { if (queue.active) event.preventDefault(); });
}
