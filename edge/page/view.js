// What the reader sees of the files. Elements are kept and changed, never made anew, so that
// the focus stays where it is.
import { bytes, date, duration, exactly, text, types, whole } from './format.js';

export const $ = (id) => document.getElementById(id);

/** Makes an element. Text goes in as text. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Says something to a screen reader, which reads what has changed. */
export function say(words) {
  $('said').textContent = words;
}

const bar = (label) => element('progress', { max: 1, value: 0, 'aria-label': label });

/** What a file's state says. */
export function saying(item) {
  switch (item.state) {
    case 'sending': return text('sentOf', { sent: bytes(item.sent), size: bytes(item.size) });
    case 'stored': return text('stored', { date: date(new Date(item.time)) });
    case 'failed': {
      const { key, values, size, types: list } = item.problem;
      return text(key, { ...values, size: size && bytes(size), types: list && types(list) });
    }
    default: return text(item.state);
  }
}

/** A row of the list. actions are called with the item. */
class Row {
  constructor(item, actions) {
    this.item = item;
    this.actions = actions;
    this.state = element('p', { class: 'state' });
    this.bar = bar(item.name);
    this.buttons = element('div', { class: 'actions' });
    this.element = element('li', {},
      element('p', { class: 'name' }, element('bdi', {}, item.name), element('span', { class: 'size' }, bytes(item.size))),
      this.buttons, this.bar, this.state);
    this.show();
  }

  show() {
    const { item } = this;
    const said = saying(item);
    if (this.state.textContent !== said) this.state.textContent = said;
    this.bar.value = item.size ? item.sent / item.size : 0;
    this.bar.hidden = !item.active;
    this.element.dataset.state = item.state;
    const wanted = this.wanted();
    if (this.shown !== wanted.join()) {
      this.shown = wanted.join();
      const focused = this.buttons.contains(document.activeElement);
      this.buttons.replaceChildren(...wanted.map((action) => this.button(action)));
      if (focused) (this.buttons.firstChild ?? $('files-title')).focus();
    }
    if (item.state === 'stored') this.showDetails();
  }

  wanted() {
    const { state, problem } = this.item;
    if (this.item.open) return [this.actions.stops(this.item) ? 'stop' : 'cancel'];
    if (state === 'stopped') return ['retry', 'remove'];
    if (state === 'again') return ['rechoose', 'remove'];
    if (state === 'failed') return [...(problem.rechoose ? ['rechoose'] : problem.retry ? ['retry'] : []), 'remove'];
    return [];
  }

  button(action) {
    const made = element('button', { type: 'button', 'aria-label': text('of', { action: text(action), name: this.item.name }) }, text(action));
    made.onclick = () => this.actions[action](this.item);
    return made;
  }

  showDetails() {
    this.details ??= this.element.appendChild(element('details', {}, element('summary', {}, text('receipt')), element('dl')));
    const rows = receiptRows(this.item).slice(1).flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]);
    this.details.lastChild.replaceChildren(...rows);
  }
}

/** What a receipt says of a file. */
const receiptRows = (item) => [
  [text('name'), item.name], [text('size'), exactly(item.size)], [text('time'), item.time],
  ...(item.id ? [[text('id'), item.id]] : []), ...(item.sha256 ? [['SHA-256', item.sha256]] : []),
];

/** The receipt as text. */
export const receipt = (items, heading) => [
  `${document.title}${heading ? `: ${heading}` : ''}`, location.host, '',
  ...items.filter(({ state }) => state === 'stored').flatMap((item) => [...receiptRows(item).map(([name, value]) => `${name}: ${value}`), '']),
].join('\n');

/** The list of files, with what holds for all. */
export class List {
  #rows = new Map();
  constructor(actions) {
    this.actions = actions;
    $('bar').setAttribute('aria-label', text('overall'));
  }

  /** Shows the files, and returns whether the focus was on one that is gone. */
  show(items, rate) {
    let lost = false;
    for (const [item, row] of this.#rows) {
      if (items.includes(item)) continue;
      const focused = row.element.contains(document.activeElement);
      let next = row.element.nextElementSibling ?? row.element.previousElementSibling;
      row.element.remove();
      this.#rows.delete(item);
      next = focused && next?.querySelector('button');
      if (next) next.focus();
      else lost ||= focused;
    }
    for (const item of items) {
      const row = this.#rows.get(item) ?? new Row(item, this.actions);
      if (!this.#rows.has(item)) $('list').append(row.element);
      this.#rows.set(item, row);
      row.show();
    }
    this.#total(items, rate);
    return lost;
  }

  #total(items, rate) {
    const meant = items.filter(({ state }) => state !== 'again');
    const stored = meant.filter(({ state }) => state === 'stored');
    const going = items.some(({ open }) => open);
    const size = meant.reduce((sum, item) => sum + (item.state === 'failed' ? 0 : item.size), 0);
    const sent = meant.reduce((sum, item) => sum + (item.state === 'failed' ? 0 : item.sent), 0);
    $('sending').hidden = !items.length;
    $('overall').hidden = !meant.length;
    $('bar').hidden = $('pace').hidden = !going;
    $('bar').value = size ? sent / size : 0;
    $('keep-open').hidden = !going && !items.some(({ state }) => state === 'again');
    $('receipt').hidden = !stored.length;
    const n = { n: whole(stored.length), all: whole(meant.length) };
    $('sum').dataset.all = String(!going && stored.length === meant.length);
    $('sum').textContent = going ? text('storedOf', n) : stored.length === meant.length ? text('allStored') : text('someNot');
    if (!going) return;
    const words = [text('sentOf', { sent: bytes(sent), size: bytes(size) })];
    if (rate) words.push(text('perSecond', { size: bytes(rate) }), text('timeLeft', { time: duration((size - sent) / rate) }));
    $('pace').textContent = words.join(' · ');
  }
}

/** What the link is good for, under the heading. */
export function showFacts(facts) {
  $('label').firstChild.textContent = facts.label ?? '';
  $('label').hidden = !facts.label;
  const words = [];
  if (facts.one) words.push(text('oneFile'));
  else words.push(text('left', { n: whole(facts.free), all: whole(facts.uploads) }));
  if (facts.maxBytes) words.push(text('atMost', { size: bytes(facts.maxBytes) }));
  if (facts.minBytes > 1) words.push(text('atLeast', { size: bytes(facts.minBytes) }));
  if (facts.type) words.push(text('only', { types: types(facts.type) }));
  if (facts.expires) words.push(text('until', { date: date(new Date(facts.expires)) }));
  $('facts').replaceChildren(...words.map((word) => element('li', {}, word)));
  $('facts').hidden = false;
}

/** Shows that the link is good for nothing, or could not be read, and moves there. */
export function showGone(title, why, reread) {
  $('gone-title').textContent = text(title);
  $('gone-why').textContent = why ? text(why) : '';
  $('reread').hidden = !reread;
  $('gone').hidden = false;
  $('gone-title').focus();
}
