// Peer A: the one-time rule as it was first published, with the AWS SDK for
// JavaScript. HEAD valid and HEAD expired at once, PUT expired, list its versions,
// pass if ours is the oldest. Two faults of the original are fixed, because only speed is
// compared here: versions are sorted by a number, and only a 404 counts as absent.
// https://github.com/laardee/one-time-presigned-url
//
// It is tuned as a careful user would tune it, and in its favour where there is a choice:
// bundled into one minified CommonJS file, one client for all requests (the SDK keeps
// connections alive by itself), credentials and endpoint given so that no provider chain
// and no file is read, checksums only where S3 requires them, no log.
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  HeadObjectCommand, ListObjectVersionsCommand, PutObjectCommand, S3Client,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

const config = JSON.parse(readFileSync(path.join(__dirname, 'config.json'), 'utf8'));
const Bucket = config.bucket;
const region = config.region ?? 'us-east-1';
const endpoint = process.env.AWS_ENDPOINT_URL_S3;

const client = new S3Client({
  region,
  ...endpoint && { endpoint, forcePathStyle: true },
  credentials: {
    accessKeyId: process.env.AWS_ACCESS_KEY_ID,
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY,
    sessionToken: process.env.AWS_SESSION_TOKEN,
  },
  requestChecksumCalculation: 'WHEN_REQUIRED',
  responseChecksumValidation: 'WHEN_REQUIRED',
});

const fingerprint = (uri, query) => createHash('sha256').update(`${uri}?${query}`).digest('hex');

export async function mint(event) {
  const { request } = event.Records[0].cf;
  const key = `uploads/${randomUUID()}`;
  const signed = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key: key }), { expiresIn: config.expires ?? 900 });
  const query = signed.slice(signed.indexOf('?') + 1);
  await client.send(new PutObjectCommand({ Bucket, Key: `signatures/valid/${fingerprint(`/${key}`, query)}`, ContentLength: 0 }));
  return {
    status: '200',
    statusDescription: 'OK',
    headers: { 'content-type': [{ value: 'text/plain; charset=utf-8' }], 'cache-control': [{ value: 'no-store' }] },
    body: `https://${request.headers.host[0].value}/${key}?${query}`,
  };
}

async function exists(Key) {
  try {
    await client.send(new HeadObjectCommand({ Bucket, Key }));
    return true;
  } catch (error) {
    if (error.$metadata?.httpStatusCode === 404) return false;
    throw error;
  }
}

export async function gate(event) {
  const { request } = event.Records[0].cf;
  const refusal = { status: '403', statusDescription: 'Forbidden', body: 'Forbidden' };
  if (request.method !== 'PUT') return refusal;
  const hash = fingerprint(request.uri, request.querystring);
  const expired = `signatures/expired/${hash}`;
  const [minted, spent] = await Promise.all([exists(`signatures/valid/${hash}`), exists(expired)]);
  if (!minted || spent) return refusal;
  const { VersionId } = await client.send(new PutObjectCommand({ Bucket, Key: expired, ContentLength: 0 }));
  const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket, Prefix: expired }));
  const [oldest] = Versions.reverse().sort((a, b) => a.LastModified - b.LastModified);
  return oldest?.VersionId === VersionId ? request : refusal;
}
