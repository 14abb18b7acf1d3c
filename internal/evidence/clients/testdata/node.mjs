// Uploads with a client of npm, or with fetch: node node.mjs client url file
import { readFile } from 'node:fs/promises';
import axios from 'axios';
import got from 'got';
import { request } from 'undici';

const clients = {
  async axios(url, body) {
    const answer = await axios.put(url, body, { validateStatus: null });
    return [answer.status, answer.headers['x-oncegate-reason']];
  },
  async got(url, body) {
    const answer = await got.put(url, { body, throwHttpErrors: false });
    return [answer.statusCode, answer.headers['x-oncegate-reason']];
  },
  async undici(url, body) {
    const answer = await request(url, { method: 'PUT', body });
    await answer.body.dump();
    return [answer.statusCode, answer.headers['x-oncegate-reason']];
  },
  async fetch(url, body) {
    const answer = await fetch(url, { method: 'PUT', body });
    return [answer.status, answer.headers.get('x-oncegate-reason')];
  },
  // As signing libraries and caches do to a URL that they are given.
  async sorted(url, body) {
    const other = new URL(url);
    other.searchParams.sort();
    return clients.fetch(other, body);
  },
  // A mistake that is often made.
  form(url, body) {
    const form = new FormData();
    form.append('file', new Blob([body]));
    return clients.axios(url, form);
  },
};

const [name, url, file] = process.argv.slice(2);
const [status, reason] = await clients[name](url, await readFile(file));
console.log(status, reason ?? '');
