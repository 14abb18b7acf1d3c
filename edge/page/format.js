// Words and figures in the language of the reader.
import { languages, rightToLeft, table } from './texts.js';

const wanted = navigator.languages.map((tag) => tag.toLowerCase().split('-')[0]).find((code) => languages.includes(code)) ?? 'en';
const column = languages.indexOf(wanted);

/** What the figures follow: the reader's own tag of the language, for en-GB is not en-US. */
const locale = navigator.languages.find((tag) => tag.toLowerCase().split('-')[0] === wanted) ?? wanted;

/** The text of a row of the table, with what is put in. */
export const text = (key, values = {}) => table[key][column].replace(/\{(\w+)\}/g, (_, name) => values[name]);

/** Puts the page into its language. Whatever is marked in the HTML gets its text. */
export function translate() {
  document.documentElement.lang = wanted;
  document.documentElement.dir = rightToLeft.includes(wanted) ? 'rtl' : 'ltr';
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = text(element.dataset.text);
  const heading = document.querySelector('h1');
  document.title = heading.textContent;
}

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];

/** A size as people say it. */
export function bytes(n) {
  let unit = 0;
  while (n >= 999.5 && unit < units.length - 1) {
    n /= 1000;
    unit++;
  }
  const digits = unit === 0 || n >= 99.5 ? 0 : 1;
  return new Intl.NumberFormat(locale, { style: 'unit', unit: units[unit], unitDisplay: unit ? 'short' : 'long', maximumFractionDigits: digits }).format(n);
}

/** A size to the byte. */
export const exactly = (n) => new Intl.NumberFormat(locale, { style: 'unit', unit: 'byte', unitDisplay: 'long' }).format(n);

export const whole = (n) => new Intl.NumberFormat(locale).format(n);

export const date = (time) => new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' }).format(time);

/** A time that is left, in one unit. */
export function duration(seconds) {
  const [n, unit] = seconds < 59.5 ? [Math.max(1, seconds), 'second'] : seconds < 3570 ? [seconds / 60, 'minute'] : [seconds / 3600, 'hour'];
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 0 }).format(n);
}

/** A list of types as people say them: "image/*,application/pdf". */
export function types(list) {
  const names = list.split(',').map((type) => {
    const [kind, rest] = type.trim().split('/');
    if (rest === '*') return Object.hasOwn(table, kind) ? text(kind) : kind;
    return (rest ?? kind).replace(/^x-|^vnd\./, '').toUpperCase();
  });
  return new Intl.ListFormat(locale, { type: 'disjunction' }).format(names);
}
