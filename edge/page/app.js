import { upload } from '../../clients/js/src/index.js';
import { texts } from './texts.js';

const say = (text) => { document.querySelector('#say').textContent = text; };

document.querySelector('input').onchange = async ({ target }) => {
  try {
    const url = location.origin + location.hash.slice(1);
    await upload(url, target.files[0], { multipart: document.body.dataset.multipart === 'true', onProgress: ({ sent, total }) => say(`${sent} / ${total}`) });
    say(texts.en.stored);
  } catch (error) {
    say(error.message);
  }
};
