// Uploads with the client of this repository: node oncegate.mjs url file. It prints
// "<status>", or "<status> <reason> <fate>".
import { openAsBlob } from 'node:fs';

import { upload } from '../../../../clients/js/src/index.js';

const [url, file] = process.argv.slice(2);
try {
  const stored = await upload(url, await openAsBlob(file, { type: 'image/png' }), { multipart: true });
  console.log(200, stored.parts, stored.etag);
} catch (error) {
  console.log(error.status, error.reason, error.fate);
}
