/** What became of a URL:
 *  - `good`: nothing was spent, the URL can be used;
 *  - `spent`: it is spent, and nothing is stored;
 *  - `broken`: it may be spent; nothing is stored;
 *  - `unknown`: it may be spent, and the file stored;
 *  - `useless`: it was no good before: used, revoked, expired or never minted. */
export type Fate = 'good' | 'spent' | 'broken' | 'unknown' | 'useless';

/** The reason of a refusal, as the header `x-oncegate-reason` has it, or one of this client:
 *  `connection` (no answer came) and `file` (it changed or went away). `''`: somebody else
 *  than oncegate answered. */
export type Reason =
  | 'used' | 'revoked' | 'unknown' | 'expired' | 'method' | 'path' | 'length-required' | 'too-large' | 'too-small'
  | 'type' | 'header' | 'options' | 'no-multipart' | 'not-started' | 'part' | 'incomplete' | 'index-unavailable'
  | 'claim-unknown' | 'internal' | 'credential-missing' | 'credential-invalid' | 'keys-unavailable'
  | 'connection' | 'file' | '' | (string & {});

export class OncegateError extends Error {
  /** Why. */
  readonly reason: Reason;
  /** The HTTP status, 0 if no answer came. */
  readonly status: number;
  /** What became of the URL. */
  readonly fate: Fate;
  /** Seconds that the server asks to wait, or 0. */
  readonly retryAfter: number;
}

/** What may be asked of a new URL: docs/api.md, "Options". */
export interface Order {
  expires?: number;
  minBytes?: number;
  maxBytes?: number;
  type?: string;
  sha256?: string;
  name?: string;
  label?: string;
  prefix?: string;
  /** Pairs as in a query: new URLSearchParams({ order: '17' }).toString() */
  meta?: string;
  /** Pairs as in a query, with keys that the deployment allows. */
  tags?: string;
}

/** A one-time URL. */
export interface Minted {
  url: string;
  /** What to send with the upload. */
  headers?: Record<string, string>;
  /** Names the URL without giving it away. */
  id?: string;
  /** The first moment at which it is no longer good, RFC 3339. */
  expiresAt?: string;
}

export interface MintOptions {
  /** An API key. Never put one into a page: everybody can read it there. */
  key?: string;
  /** A bearer token: a JWT, or the secret of an invitation. */
  token?: string;
  signal?: AbortSignal;
}

/** Asks the deployment, `https://…`, for a one-time URL. Rejects with an OncegateError. */
export function mint(deployment: string | URL, order?: Order, options?: MintOptions): Promise<Minted>;

export interface UploadOptions {
  /** Content type, if the URL does not name one. Default: that of the blob. */
  type?: string;
  /** In parts, which a broken connection does not spoil, or in one PUT. Default: parts over 8 MiB.
   *  An empty file is always one PUT. */
  multipart?: boolean;
  /** Size of a part, at least 5 MiB. Default 8 MiB, or more if there would be over 1,000 parts. */
  partBytes?: number;
  /** Parts sent at the same time. Default 3. */
  parallel?: number;
  /** Called as bytes leave. `sent` can go back when a part has to be sent again. */
  onProgress?: (progress: { sent: number; total: number }) => void;
  /** Called before each wait, in milliseconds, after something went wrong that may pass. */
  onRetry?: (error: OncegateError, delay: number) => void;
  /** Stops it. Parts that are stored stay: the same call goes on with them. */
  signal?: AbortSignal;
}

export interface Stored {
  size: number;
  /** ETag of the object, without quotes. */
  etag: string;
  /** How many parts it was made of; 0 after one PUT. */
  parts: number;
  /** Of the URL, if the answer has it. */
  id?: string;
}

/**
 * Uploads a blob (a File of a page, `fs.openAsBlob` in Node) with a one-time URL. Called again
 * with the same URL and file it goes on with the parts that are there, after comparing their
 * MD5s, also on another device. Rejects with an OncegateError, or with the signal's reason.
 */
export function upload(target: string | Minted, blob: Blob, options?: UploadOptions): Promise<Stored>;

/** Gives an upload up: its parts are dropped and its URL is revoked. */
export function giveUp(url: string, options?: { signal?: AbortSignal }): Promise<void>;
