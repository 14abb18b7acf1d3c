// The Lambda handler of the page for people, at /upload. It answers from page.json, which
// tools/page.mjs has made of edge/page, and from the settings. It starts no Go program,
// asks S3 nothing, and passes no request on.

// Without import statements, for the reason that index.mjs gives.
const { readFileSync } = process.getBuiltinModule('node:fs');
const { hash } = process.getBuiltinModule('node:crypto');
const { brotliCompressSync, gzipSync } = process.getBuiltinModule('node:zlib');

const read = (name) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const built = read('page.json'); // html, and files by name: type, and the content by encoding
const settings = read('config.json');
const own = settings.page && typeof settings.page === 'object' ? settings.page : {};

const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

// onColor is black or white, whichever is read better on the colour: by the contrast of
// https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
function onColor(color) {
  const [r, g, b] = color.match(/[0-9a-f]{2}/gi).map((pair) => {
    const part = parseInt(pair, 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 ? '#fff' : '#000';
}

function contact(text) {
  const href = /^[^\s@<>"]+@[^\s@<>"]+$/.test(text) ? `mailto:${text}` : /^https:\/\//.test(text) ? text : '';
  return href ? `<a href="${escape(href)}">${escape(text)}</a>` : `<span>${escape(text)}</span>`;
}

const accent = /^#[0-9a-f]{6}$/i.test(own.accent) ? own.accent : '#2457c5';
const style = `:root{--accent:${accent};--on-accent:${onColor(accent)}}`;

// The texts that are not the owner's are put in by the page, in the language of its reader.
const parts = {
  title: escape(own.title ?? 'Send files'),
  heading: own.title ? `<h1>${escape(own.title)}</h1>` : '<h1 data-text="title">Send files</h1>',
  // As an image, an SVG runs no script and loads nothing:
  // https://www.w3.org/TR/SVG2/conform.html#secure-static-mode
  logo: own.logo ? `<img class="logo" alt="" src="data:image/svg+xml;base64,${Buffer.from(own.logo).toString('base64')}">` : '',
  contact: own.contact ? `<p><span data-text="contact">Contact:</span> ${contact(own.contact)}</p>` : '',
  privacy: own.privacyUrl ? `<p><a href="${escape(own.privacyUrl)}" data-text="privacy" rel="noopener" target="_blank">Privacy</a></p>` : '',
  multipart: String(settings.multipart !== false),
  style,
};
const html = built.html.replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]);

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  `style-src 'self' 'sha256-${hash('sha256', style, 'base64')}'`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  `frame-ancestors ${own.embedBy?.length ? own.embedBy.join(' ') : "'none'"}`,
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const always = {
  'referrer-policy': 'no-referrer', // of a link that the page shows; a fragment is never sent
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
};
const ofPage = {
  ...always,
  'content-security-policy': policy,
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-write=(self)',
  // The names of the other files change with their content; this one says which they are.
  'cache-control': 'no-cache',
};
const ofFile = { ...always, 'cache-control': 'public, max-age=31536000, immutable' };

const page = { type: 'text/html; charset=utf-8', headers: ofPage, plain: html };
const compress = { br: brotliCompressSync, gzip: gzipSync };

const headersOf = (values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, [{ value }]]));

function refuse(status, statusDescription, text, more) {
  return {
    status, statusDescription, body: text,
    headers: headersOf({ ...always, 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...more }),
  };
}

// accepted is the best encoding that the client accepts, or plain.
function accepted(headers) {
  const offers = (headers['accept-encoding'] ?? []).map(({ value }) => value).join(',').toLowerCase().split(',');
  const takes = (name) => offers.some((offer) => {
    const [coding, ...parameters] = offer.split(';').map((part) => part.trim());
    return coding === name && !parameters.some((p) => /^q=0(\.0*)?$/.test(p));
  });
  return takes('br') ? 'br' : takes('gzip') ? 'gzip' : 'plain';
}

function answer(file, encoding, withBody) {
  const headers = { ...(file.headers ?? ofFile), 'content-type': file.type, vary: 'accept-encoding' };
  if (encoding !== 'plain') {
    headers['content-encoding'] = encoding;
    file[encoding] ??= compress[encoding](file.plain).toString('base64');
  }
  const response = { status: '200', statusDescription: 'OK', headers: headersOf(headers) };
  if (!withBody) return response;
  return { ...response, body: file[encoding], bodyEncoding: encoding === 'plain' ? 'text' : 'base64' };
}

export const handler = async (event) => {
  const { method, uri, headers } = event.Records[0].cf.request;
  const file = uri === '/upload' ? page : Object.hasOwn(built.files, uri) ? built.files[uri] : undefined;
  if (!file || settings.page === false) return refuse('404', 'Not Found', 'Not Found: there is nothing here.');
  if (method !== 'GET' && method !== 'HEAD') {
    return refuse('405', 'Method Not Allowed', 'Method Not Allowed: the page is read with GET; a file goes to its own URL.', { allow: 'GET, HEAD' });
  }
  return answer(file, accepted(headers), method === 'GET');
};
