// Makes page.json, which edge/node/page.mjs answers from, of the sources in edge/page:
//
//   node tools/page.mjs build/edge/page.json
//
// It holds the HTML, whose last parts are the settings' and are put in by the function,
// and everything else under a name with its hash, compressed already.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

import { build } from 'esbuild';

const sources = fileURLToPath(new URL('../edge/page/', import.meta.url));
// What a viewer-request function may answer, headers included, with the body as it stands
// in the answer: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html
const largest = 40 * 1024;
const headers = 2048; // more than those of the page

const types = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' };
const files = {};

// add bundles and minifies one source and returns its path under /upload/.
async function add(source, plugins = []) {
  const [name, extension] = source.split('.');
  const { outputFiles } = await build({
    entryPoints: [sources + source], bundle: true, minify: true, write: false, plugins,
    format: 'esm', target: ['chrome111', 'firefox115', 'safari16.4'], charset: 'utf8', legalComments: 'none', logLevel: 'warning',
  });
  const content = Buffer.from(outputFiles[0].contents);
  const path = `/upload/${name}-${createHash('sha256').update(content).digest('hex').slice(0, 16)}.${extension}`;
  const file = {
    type: types[extension], plain: content.toString(),
    br: brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length } }).toString('base64'),
    gzip: gzipSync(content, { level: 9 }).toString('base64'),
  };
  for (const encoding of ['plain', 'br', 'gzip']) {
    const size = Buffer.byteLength(file[encoding]);
    if (size + headers > largest) throw new Error(`${source} is ${size} bytes in the answer (${encoding}), and CloudFront takes ${largest}`);
  }
  files[path] = file;
  return path;
}

const style = await add('style.css');
const texts = await add('texts.js');
const app = await add('app.js', [{
  name: 'texts', // a file of their own, so that none is too large where nothing is compressed
  setup: ({ onResolve }) => onResolve({ filter: /\/texts\.js$/ }, () => ({ path: texts, external: true })),
}]);
const names = { stylesheet: style, app, texts };
const html = readFileSync(sources + 'index.html', 'utf8')
  .replace(/<!--.*?-->\n?/gs, '')
  .replace(/\{\{(stylesheet|app|texts)\}\}/g, (_, name) => names[name])
  .replace(/\n\s+/g, '\n');
writeFileSync(process.argv[2], JSON.stringify({ html, files }));
