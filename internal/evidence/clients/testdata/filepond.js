// FilePond with the one-time URL that stands behind # in the page's own: in its raw mode,
// a process function that sends the file itself, or with its own process, which sends a
// form.
import { create } from 'filepond';

const [flavour, url] = location.hash.slice(1).split('|');
const say = (text) => { document.querySelector('#status').textContent = text; };
const answer = (xhr) => `${xhr.status} ${xhr.getResponseHeader('x-oncegate-reason') ?? ''}`;

function raw(field, file, metadata, load, error, progress, abort) {
  const xhr = new XMLHttpRequest();
  xhr.open('PUT', url); // a page asks its server for it here
  xhr.upload.onprogress = (event) => progress(event.lengthComputable, event.loaded, event.total);
  xhr.onload = () => {
    say(answer(xhr));
    if (xhr.status === 200) load(xhr.getResponseHeader('x-amz-version-id'));
    else error('not stored');
  };
  xhr.onerror = () => { say('no answer'); error('no answer'); };
  xhr.send(file);
  return { abort: () => { xhr.abort(); abort(); } };
}

const form = {
  url,
  method: 'PUT',
  headers: { accept: 'application/json' },
  onload: () => say('200'),
  onerror(text) {
    const { status, reason } = JSON.parse(text);
    say(`${status} ${reason}`);
  },
};

create(document.querySelector('#pond'), { server: { process: flavour === 'form' ? form : raw } });
