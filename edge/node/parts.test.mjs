// Multipart uploads in the artifact: what Node makes of the requests about them.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { S3, context, event, load, reasonOf } from './harness.mjs';

describe('multipart uploads', () => {
  let s3, functions, url, asked;
  const silent = process.stdout.write;
  before(async () => {
    s3 = await new S3().start();
    functions = await load(s3.url);
    process.stdout.write = function (chunk, ...rest) {
      return String(chunk).startsWith('{"timestamp"') || silent.call(process.stdout, chunk, ...rest);
    };
  });
  after(() => {
    process.stdout.write = silent;
    return s3.stop();
  });
  // about answers what is asked about uploads; all else is the S3's own.
  const about = (answers) => {
    s3.behave = (request, response, body) => {
      const answer = answers[`${request.method} ${request.url.replace(/^[^?]*\?/, '').replace(/=.*/, '')}`];
      if (!answer) return false;
      asked.push({ request, body: body.toString() });
      answer(response);
      return true;
    };
  };
  const xml = (body, status = 200) => (response) => response.writeHead(status).end(`<?xml version="1.0" encoding="UTF-8"?>\n${body}`);
  const created = xml('<InitiateMultipartUploadResult><UploadId>a.b_c-d+/=</UploadId></InitiateMultipartUploadResult>');
  const part = (n) => `<Part><PartNumber>${n}</PartNumber><LastModified>2026-11-10T20:48:34.000Z</LastModified><ETag>&quot;7778aef83f66abc1fa1e8477f296d394&quot;</ETag>`
    + '<Size>5242880</Size><ChecksumCRC32>AAAAAA==</ChecksumCRC32><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME></Part>';
  const list = (n) => xml(`<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>${Array.from({ length: n }, (_, i) => part(i + 1)).join('')}</ListPartsResult>`);
  const ask = (method, operation, { headers = {}, ms } = {}) => {
    const { pathname, search } = new URL(url);
    return functions.gate(event(method, pathname, { querystring: `${search.slice(1)}&${operation}`, headers }), context(ms));
  };

  beforeEach(async () => {
    s3.objects.clear();
    s3.behave = null;
    asked = [];
    url = (await functions.mint(event('GET', '/url', { querystring: 'maxBytes=5368709120' }), context())).body;
  });

  test('a start has a length, and headers as UTF-8', async () => {
    about({ 'POST uploads': created });
    const headers = {
      'content-disposition': [{ key: 'Content-Disposition', value: 'attachment; filename="Grüße €.txt"' }],
      'content-type': [{ key: 'Content-Type', value: 'text/plain' }],
    };
    const response = await ask('POST', 'uploads', { headers });
    assert.equal(response.status, '200', response.body);
    assert.equal(asked.length, 1);
    const { request } = asked[0];
    assert.equal(request.headers['content-length'], '0');
    assert.equal(request.headers['transfer-encoding'], undefined);
    assert.equal(Buffer.from(request.headers['content-disposition'], 'latin1').toString(), 'attachment; filename="Grüße €.txt"');
    assert.equal(request.headers['content-type'], 'text/plain');
    assert.match(request.headers.authorization, /SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,/);
    assert.ok(s3.has('signatures/parts/'));
  });

  test('a list of 1,000 parts', async () => {
    about({ 'POST uploads': created, 'GET max-parts': list(1000) });
    assert.equal((await ask('POST', 'uploads')).status, '200');
    const began = Date.now();
    const response = await ask('GET', 'parts');
    assert.equal(response.status, '200', response.body);
    assert.ok(Date.now() - began < 3000, 'reading a list takes all of the time');
    assert.match(asked[1].request.url, /&uploadId=a\.b_c-d%2B%2F%3D$/);
    assert.match(response.body, /^1 5242880 7778aef83f66abc1fa1e8477f296d394\n2 /);
  });

  test('a Complete that takes S3 as long as there is time', async () => {
    let drip;
    const etag = 'd41d8cd98f00b204e9800998ecf8427e-2'; // S3's own is told, which with KMS no MD5 gives
    about({
      'POST uploads': created,
      'GET max-parts': list(2),
      'POST uploadId': (response) => {
        response.writeHead(200).write('<?xml version="1.0" encoding="UTF-8"?>\n');
        drip = setInterval(() => response.write(' '), 100);
        setTimeout(() => {
          clearInterval(drip);
          response.end(`<CompleteMultipartUploadResult><ETag>"${etag}"</ETag></CompleteMultipartUploadResult>`);
        }, 3500);
      },
    });
    assert.equal((await ask('POST', 'uploads')).status, '200');
    const response = await ask('POST', 'complete');
    assert.equal(response.status, '200', response.body);
    assert.equal(response.body, `10485760\n${etag}`);
    assert.match(asked[2].body, /^<CompleteMultipartUpload .*<Part><ETag>7778aef83f66abc1fa1e8477f296d394<\/ETag><PartNumber>2<\/PartNumber><\/Part>/);
  });

  test('a Complete that takes S3 longer is told so', async () => {
    const hanging = [];
    about({ 'POST uploads': created, 'GET max-parts': list(2), 'POST uploadId': (response) => { hanging.push(response); } });
    assert.equal((await ask('POST', 'uploads')).status, '200');
    const response = await ask('POST', 'complete', { ms: 3500 });
    assert.equal(response.status, '202', `${reasonOf(response)} ${response.body}`);
    assert.equal(hanging.length, 1);
  });
});
