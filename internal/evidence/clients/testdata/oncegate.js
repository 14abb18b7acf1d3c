// The client of this repository, with the one-time URL that stands behind # in the page's own.
import { upload } from '../../../../clients/js/src/index.js';

const say = (text) => { document.querySelector('#status').textContent = text; };
let highest = 0;

document.querySelector('input').onchange = async ({ target }) => {
  try {
    const [file] = target.files;
    const stored = await upload(location.hash.slice(1), file, {
      multipart: file.size > 0, onProgress: ({ sent, total }) => (highest = Math.max(highest, sent / total)),
    });
    say(`200 parts ${stored.parts} progress ${highest}`);
  } catch (error) {
    say(`${error.status} ${error.reason} ${error.fate}`);
  }
};
