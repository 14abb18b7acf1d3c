// Uploads in parts through Uppy 6, so that a broken connection costs a part and no URL. The
// page's origin must be among "allowedOrigins". With "auth" give Uppy a URL from your own
// server in the address: docs/multipart.md, "By Uppy".
import AwsS3 from '@uppy/aws-s3';
import Uppy from '@uppy/core';
import GoldenRetriever from '@uppy/golden-retriever';

const ONCEGATE = 'http://localhost:8080';

const uppy = new Uppy({ autoProceed: true }).use(AwsS3, {
  companionEndpoint: ONCEGATE,
  shouldUseMultipart: true,
  getChunkSize: ({ size }) => Math.max(8 << 20, Math.ceil(size / 1000)), // a URL takes 1,000 parts
}).use(GoldenRetriever, {
  // The browser keeps files of up to this size, so that a reload goes on by itself. A larger one
  // is to be chosen again, and goes on as well.
  indexedDB: { maxFileSize: 1 << 28, maxTotalSize: 1 << 30 },
});

uppy.on('restored', () => {
  const gone = uppy.getFiles().filter((file) => file.isGhost);
  for (const file of gone) say(file, 'Choose this file again.');
  if (gone.length < uppy.getFiles().length) uppy.emit('restore-confirmed');
});

uppy.on('upload-progress', (file, { bytesUploaded }) => say(file, `${Math.floor((100 * bytesUploaded) / file.size)} %`));
uppy.on('upload-success', (file) => say(file, 'Stored.'));

// Uppy asks which parts are there and sends the others. If it was complete that failed, it
// completes again, which gives the same answer.
const tries = new Map();

uppy.on('upload-error', (file, error) => {
  const n = tries.get(file.id) ?? 0;
  tries.set(file.id, n + 1);
  if (n === 5) return say(file, `Not stored. ${error.message} `, 'Try again');
  say(file, 'The connection broke. Again …');
  setTimeout(() => uppy.retryUpload(file.id), 500 * 2 ** n);
});

// An empty file has no part, and Uppy would send it as a form.
async function putEmpty(file) {
  try {
    const url = await fetch(`${ONCEGATE}/url?${new URLSearchParams({ minBytes: 0, maxBytes: 1 })}`);
    const stored = url.ok && (await fetch(await url.text(), { method: 'PUT', body: file }));
    say(file, stored && stored.ok ? 'Stored.' : 'Not stored.');
  } catch {
    say(file, 'Not stored.');
  }
}

function say(file, text, again) {
  const id = file.id ?? `empty ${file.name}`;
  const line = document.getElementById(id) ?? document.createElement('li');
  line.id = id;
  line.textContent = `${file.name}: ${text}`;
  if (again) {
    const button = document.createElement('button');
    button.textContent = again;
    button.onclick = () => uppy.retryUpload(file.id);
    line.append(button);
  }
  document.getElementById('list').append(line);
}

document.getElementById('pause').onclick = ({ target }) => {
  const going = target.textContent === 'Pause';
  if (going) uppy.pauseAll();
  else uppy.resumeAll();
  target.textContent = going ? 'Go on' : 'Pause';
};

document.getElementById('files').onchange = ({ target }) => {
  for (const file of target.files) {
    if (file.size === 0) putEmpty(file);
    else uppy.addFile({ name: file.name, type: file.type, data: file });
  }
  target.value = '';
};

