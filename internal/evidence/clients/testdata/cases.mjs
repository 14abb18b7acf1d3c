// Uploads with the client of this repository: node cases.mjs url file multipart part-bytes. It prints the outcome in JSON.
import { openAsBlob } from 'node:fs';

import { upload } from '../../../../clients/js/src/index.js';

const [url, file, multipart, partBytes] = process.argv.slice(2);
let retries = 0;
let outcome;
try {
  outcome = await upload(url, await openAsBlob(file), {
    partBytes: Number(partBytes), multipart: JSON.parse(multipart) ?? undefined, parallel: 1, onRetry: () => retries++,
  });
} catch ({ reason, fate, message }) {
  outcome = { reason, fate, message, failed: true };
}
console.log(JSON.stringify({ ...outcome, retries }));
