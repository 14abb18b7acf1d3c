// Uploads with one-time URLs through Uppy 6. The page's origin must be among
// "allowedOrigins"; with "auth" let your own server mint, for a page can keep no key.
import AwsS3 from '@uppy/aws-s3';
import Uppy from '@uppy/core';

const ONCEGATE = 'http://localhost:8080';

const uppy = new Uppy({ autoProceed: true }).use(AwsS3, {
  shouldUseMultipart: false, // one URL, one PUT
  generateObjectKey: (file) => file.id, // all that signRequest is told about the file
  async signRequest({ key }) {
    const { name, size } = uppy.getFile(key);
    sent.set(key, 0);
    const options = new URLSearchParams({ name, minBytes: size, maxBytes: Math.max(size, 1) });
    const answer = await fetch(`${ONCEGATE}/url?${options}`, { headers: { accept: 'application/json' } });
    const minted = await answer.json();
    if (!answer.ok) throw new Error(minted.message);
    // With accept a refusal of the upload is JSON; Uppy hands on its body and no header.
    return { url: minted.url, key: new URL(minted.url).pathname.slice(1), headers: { ...minted.headers, accept: 'application/json' } };
  },
});

// When a connection breaks, the browser and Uppy repeat the PUT with the same URL. The
// first try has spent it, so the repeat is refused as "used", whether or not the first
// was stored. S3 stores a file only when it has all of it. So a file of which much was
// never sent may be sent again with a new URL; of any other the page cannot know, and
// asks. Progress lags a tenth of a second behind what was sent: LAG is for that.
const LAG = 8 << 20;
const sent = new Map(); // by file: the most that any try with its present URL has sent

uppy.on('upload-progress', (file, { bytesUploaded }) => {
  sent.set(file.id, Math.max(sent.get(file.id), bytesUploaded));
  say(file, `${Math.floor((100 * bytesUploaded) / Math.max(file.size, 1))} %`);
});

uppy.on('upload-success', (file) => say(file, 'Stored.'));

const tries = new Map();

uppy.on('upload-error', (file, error) => {
  const { reason, message } = refusal(error);
  const broken = error.code === 'NETWORK' || error.status >= 500 || ['used', 'expired'].includes(reason);
  if (!broken) return say(file, `Not stored. ${message} `, 'Try again');
  const n = tries.get(file.id) ?? 0;
  if (file.size - sent.get(file.id) > LAG && n < 5) {
    tries.set(file.id, n + 1);
    say(file, 'The connection broke. Again with a new URL …');
    setTimeout(() => uppy.retryUpload(file.id), 500 * 2 ** n);
    return;
  }
  say(file, `It may be stored. ${message} `, 'Upload it once more');
});

function refusal(error) {
  try {
    return JSON.parse(error.body);
  } catch {
    return { message: error.message };
  }
}

function say(file, text, again) {
  const line = document.getElementById(file.id) ?? document.createElement('li');
  line.id = file.id;
  line.textContent = `${file.name}: ${text}`;
  if (again) {
    const button = document.createElement('button');
    button.textContent = again;
    button.onclick = () => uppy.retryUpload(file.id);
    line.append(button);
  }
  document.getElementById('list').append(line);
}

document.getElementById('files').onchange = ({ target }) => {
  for (const file of target.files) uppy.addFile({ name: file.name, type: file.type, data: file });
  target.value = '';
};
