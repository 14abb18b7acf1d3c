// What an answer other than success, or no answer, means for the URL.

/** Every failure of this client. */
export class OncegateError extends Error {
  name = 'OncegateError';

  /**
   * @param {string} message one sentence, safe to show as text
   * @param {{reason?: string, status?: number, fate?: string, after?: number, cause?: unknown}} what
   */
  constructor(message, { reason = '', status = 0, fate = 'unknown', after = 0, cause } = {}) {
    super(message, { cause });
    this.reason = reason;
    this.status = status;
    this.fate = fate;
    this.retryAfter = after;
  }
}

// The reasons of x-oncegate-reason, by what became of the URL. Whatever is not here may
// have spent it. docs/api.md has the table for people.
const useless = ['used', 'revoked', 'expired', 'unknown'];
const good = [
  'method', 'path', 'length-required', 'too-large', 'too-small', 'type', 'header', 'index-unavailable',
  'no-multipart', 'not-started', 'part', 'incomplete',
];

/** Says what a refusal means for the URL: see Fate in index.d.ts. */
export function fateOf(status, reason, text) {
  if (useless.includes(reason)) return 'useless';
  if (good.includes(reason)) return 'good';
  if (reason || status < 300 || status >= 500) return 'unknown';
  // The gate names a reason with each refusal. So S3 answers only what the gate let
  // through; but InvalidAccessKeyId means that the URL never reached the gate.
  const code = /<Code>(\w{1,64})<\/Code>/.exec(text)?.[1];
  if (code && code !== 'InvalidAccessKeyId') return 'spent';
  return status < 400 ? 'unknown' : 'broken';
}

/** Makes the error of an answer other than success. */
export function refusal({ status, header, text }) {
  const reason = (header('x-oncegate-reason') ?? '').slice(0, 40);
  let message;
  try {
    message = JSON.parse(text).message;
  } catch {} // text in whose words nothing is known
  if (typeof message !== 'string' || !message) message = `The server answered ${status}${reason && ` (${reason})`}.`;
  const after = Number(header('retry-after')) || 0;
  return new OncegateError(message.slice(0, 400), { reason, status, after, fate: fateOf(status, reason, text) });
}

/** Reports whether the same request may succeed later, and an earlier one did no harm. */
export const passing = (error) =>
  error.reason === 'connection' || error.status === 429 || error.status >= 500;
