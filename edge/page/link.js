// The link that the page was opened with, and what it is good for.
import { mint } from '../../clients/js/src/index.js';
import { refusal } from '../../clients/js/src/errors.js';
import { send } from '../../clients/js/src/http.js';

/**
 * Reads what stands behind #: an invitation's token, or a one-time URL from its path on. It
 * stays in the address bar, so that a reload, or a tab that the phone has dropped, finds it
 * again. Browsers send it nowhere, and Referrer-Policy keeps it out of what others are told.
 */
export function readLink(hash) {
  const secret = hash.replace(/^#/, '');
  if (/^ogi_[\w-]+$/.test(secret)) return { secret, token: secret };
  if (/^\/uploads\/[\w/-]+\?[^#]+$/.test(secret)) return { secret, url: location.origin + secret };
  return undefined;
}

const json = { accept: 'application/json' };

/** Asks what the link is good for: label, uploads, free, expires, and limits of each file. */
export async function look(link) {
  if (link.token) {
    const answer = await send({ method: 'GET', url: `${location.origin}/invitation`, headers: { ...json, authorization: `Bearer ${link.token}` } });
    if (answer.status !== 200) throw refusal(answer);
    return JSON.parse(answer.text);
  }
  // A list of parts spends nothing, and says if the URL is good for nothing any more. Other
  // refusals say that there are no parts.
  const answer = await send({ method: 'GET', url: `${link.url}&parts`, headers: json });
  if (answer.status >= 300) {
    const error = refusal(answer);
    if (error.fate === 'useless' || answer.status >= 500) throw error;
  }
  return { one: true, expires: endOf(link.url) };
}

/** When a URL ends: X-Amz-Date and as many seconds. */
function endOf(url) {
  const query = new URL(url).searchParams;
  const start = (query.get('X-Amz-Date') ?? '').replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  const end = new Date(Date.parse(start) + 1000 * Number(query.get('X-Amz-Expires')));
  return Number.isNaN(end.getTime()) ? undefined : end.toISOString();
}

/** Gets a URL for a file: its own of an invitation, or the link's one. */
export async function urlFor(link, file) {
  if (link.url) return { url: link.url, expires: endOf(link.url) };
  const order = (what) => mint(location.origin, what, { token: link.token });
  // A name that the deployment does not take, of characters that it does not know, say.
  const { remark } = file;
  const made = await order({ name: plainName(file.name), ...(remark && { label: remark }) }).catch((error) => {
    if (error.reason !== 'options') throw error;
    return order({});
  });
  // The page's own origin, whichever name of the distribution the URL has: it is the same URL.
  const { pathname, search } = new URL(made.url);
  return { url: location.origin + pathname + search, id: made.id, expires: made.expiresAt };
}

const unseen = /[\p{C}\p{Default_Ignorable_Code_Point}]/gu;
const length = (text) => new TextEncoder().encode(text).length;

/** A note as a deployment takes it: words that are seen, one space apart, 128 bytes of them. */
export function plainNote(note) {
  let plain = [...note.replace(/\s+/g, ' ').replace(unseen, '').trim()];
  while (length(plain.join('')) > 128) plain = plain.slice(0, -1);
  return plain.join('').trim();
}

/** A file's name without what a deployment takes in no name: what nobody sees, and paths. */
export function plainName(name) {
  let plain = name.replace(unseen, '').replace(/[/\\]/g, '_');
  const dot = plain.lastIndexOf('.');
  const end = dot > 0 && plain.length - dot <= 20 ? plain.slice(dot) : '';
  let start = [...plain.slice(0, plain.length - end.length)];
  while (length(start.join('') + end) > 255) start = start.slice(0, -1);
  plain = start.join('') + end;
  return /^\.{0,2}$/.test(plain) ? 'file' : plain;
}
