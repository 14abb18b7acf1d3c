// One request. Browsers send bodies with XMLHttpRequest, because fetch does not say how
// much of a body it has sent.

import { OncegateError } from './errors.js';

/** A request is given up when no byte has moved for this time: the phone slept, or the network is dead. */
const stall = 60_000;

const broken = (fate, cause) =>
  new OncegateError('The connection broke off.', { reason: 'connection', fate, cause });

/**
 * @param {{method: string, url: string, headers?: Record<string, string>, body?: Blob|string,
 *   signal?: AbortSignal, onSent?: (bytes: number) => void}} request
 * @returns {Promise<{status: number, header: (name: string) => string|null, text: string}>}
 */
export function send(request) {
  request.signal?.throwIfAborted();
  return typeof XMLHttpRequest === 'function' && request.body instanceof Blob ? byXHR(request) : byFetch(request);
}

async function byFetch({ method, url, headers, body, signal, onSent }) {
  try {
    // An answer to a GET may come from nobody's cache; a redirect is never followed with a file.
    const response = await fetch(url, {
      method, headers, body, signal, cache: 'no-store', redirect: 'manual', referrerPolicy: 'no-referrer', credentials: 'omit',
    });
    const text = await response.text();
    if (body instanceof Blob) onSent?.(body.size);
    return { status: response.status, header: (name) => response.headers.get(name), text };
  } catch (error) {
    signal?.throwIfAborted();
    throw broken('unknown', error);
  }
}

function byXHR({ method, url, headers, body, signal, onSent }) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let timer;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => xhr.abort(), stall);
    };
    const stop = () => xhr.abort();
    xhr.open(method, url);
    for (const [name, value] of Object.entries(headers ?? {})) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded }) => {
      wait();
      onSent?.(loaded);
    };
    xhr.onloadend = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) reject(signal.reason);
      else if (xhr.status === 0) reject(broken('unknown'));
      else resolve({ status: xhr.status, header: (name) => xhr.getResponseHeader(name), text: xhr.responseText });
    };
    signal?.addEventListener('abort', stop);
    wait();
    xhr.send(body);
  });
}
