// FilePond in its raw mode: a process function that sends the file itself. The one-time
// URL stands behind # in the page's own.
import { create } from 'filepond';

const [, url] = location.hash.slice(1).split('|');
const say = (text) => { document.querySelector('#status').textContent = text; };
create(document.querySelector('#pond'), {
  server: {
    process(field, file, metadata, load, error, progress, abort) {
      const xhr = new XMLHttpRequest();
      xhr.open('PUT', url); // a page asks its server for it here
      xhr.upload.onprogress = (event) => progress(event.lengthComputable, event.loaded, event.total);
      xhr.onload = () => {
        say(`${xhr.status} ${xhr.getResponseHeader('x-oncegate-reason') ?? ''}`);
        if (xhr.status === 200) load(xhr.getResponseHeader('x-amz-version-id'));
        else error('not stored');
      };
      xhr.onerror = () => { say('no answer'); error('no answer'); };
      xhr.send(file);
      return { abort: () => { xhr.abort(); abort(); } };
    },
  },
});
