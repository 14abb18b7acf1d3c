// Dropzone, with the one-time URL that stands behind # in the page's own.
import { Dropzone } from 'dropzone';

const [flavour, url] = location.hash.slice(1).split('|');
const say = (text) => { document.querySelector('#status').textContent = text; };
const zone = new Dropzone('#zone', {
  method: 'put',
  binaryBody: flavour !== 'form',
  url: (files) => files[0].uploadURL,
  accept(file, done) {
    file.uploadURL = url; // a page asks its server for it here
    done();
  },
  ...(flavour === 'plain' ? { defaultHeaders: false } : {}),
});
const answer = (file) => `${file.xhr.status} ${file.xhr.getResponseHeader('x-oncegate-reason') ?? ''}`;
zone.on('success', (file) => say(answer(file)));
zone.on('error', (file) => say(answer(file)));
