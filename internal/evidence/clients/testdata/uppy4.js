// Uppy 4, with the address of the distribution behind # in the page's own. It pauses once,
// after the first part.
import AwsS3 from '@uppy/aws-s3';
import Uppy from '@uppy/core';

const endpoint = location.hash.slice(1);
const say = (text) => { document.querySelector('#status').textContent = text; };
const uppy = new Uppy({ autoProceed: true }).use(AwsS3, {
  endpoint,
  shouldUseMultipart: (file) => file.size > 0,
  limit: 1,
  async getUploadParameters() { // for empty files, which have no part
    const answer = await fetch(`${endpoint}/url?minBytes=0`);
    return { method: 'PUT', url: await answer.text(), headers: {} };
  },
});
let paused = false;
uppy.on('s3-multipart:part-uploaded', (file) => {
  if (paused || file.size === 0) return; // an empty file is sent by now
  paused = true;
  uppy.pauseResume(file.id);
  setTimeout(() => uppy.pauseResume(file.id), 500);
});
uppy.on('upload-success', () => say(`200${paused ? ' after a pause' : ''}`));
uppy.on('upload-error', (file, error) => say(`no answer: ${error.message}`));
document.querySelector('input').onchange = ({ target }) => {
  for (const file of target.files) uppy.addFile({ name: file.name, type: file.type, data: file });
};
