// MD5 (RFC 1321), which Web Cryptography does not have. It is no protection against anybody
// who wants a collision; here it says whether a part that S3 lists is one's own.

const shifts = Int8Array.of(7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21);
const sines = Int32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32) | 0);
const words = new Int32Array(16);

/** A running digest: update it with bytes, then take the digest once. */
export class MD5 {
  #state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  #rest = new Uint8Array(64);
  #length = 0;

  /** @param {Uint8Array} bytes */
  update(bytes) {
    let at = 0;
    const held = this.#length % 64;
    this.#length += bytes.length;
    if (held > 0) {
      at = Math.min(64 - held, bytes.length);
      this.#rest.set(bytes.subarray(0, at), held);
      if (held + at < 64) return this;
      this.#block(this.#rest, 0);
    }
    for (; at + 64 <= bytes.length; at += 64) this.#block(bytes, at);
    this.#rest.set(bytes.subarray(at));
    return this;
  }

  /** @returns {Uint8Array} 16 bytes */
  digest() {
    const length = this.#length;
    const padding = new Uint8Array((length % 64 < 56 ? 56 : 120) - (length % 64) + 8);
    padding[0] = 0x80;
    const end = new DataView(padding.buffer, padding.length - 8);
    end.setUint32(0, (length % 2 ** 29) * 8, true); // in bits
    end.setUint32(4, Math.floor(length / 2 ** 29), true);
    this.update(padding);
    const digest = new DataView(new ArrayBuffer(16));
    this.#state.forEach((word, i) => digest.setInt32(4 * i, word, true));
    return new Uint8Array(digest.buffer);
  }

  #block(bytes, at) {
    for (let i = 0; i < 16; i++, at += 4) {
      words[i] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    }
    const state = this.#state;
    let a = state[0], b = state[1], c = state[2], d = state[3];
    let sum, shift;
    for (let i = 0; i < 64; i++) {
      if (i < 16) sum = (d ^ (b & (c ^ d))) + words[i];
      else if (i < 32) sum = (c ^ (d & (b ^ c))) + words[(5 * i + 1) & 15];
      else if (i < 48) sum = (b ^ c ^ d) + words[(3 * i + 5) & 15];
      else sum = (c ^ (b | ~d)) + words[(7 * i) & 15];
      sum = (a + sum + sines[i]) | 0;
      shift = shifts[((i >> 4) << 2) | (i & 3)];
      a = d;
      d = c;
      c = b;
      b = (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
  }
}

/** @param {Uint8Array} bytes */
export const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** @param {Uint8Array} bytes */
export const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

/** Reads a blob in small steps, so that a page stays alive. @param {Blob} blob */
export async function md5(blob, signal) {
  const digest = new MD5();
  for (let at = 0; at < blob.size; at += step) {
    signal?.throwIfAborted();
    digest.update(new Uint8Array(await blob.slice(at, at + step).arrayBuffer()));
  }
  return digest.digest();
}

const step = 1 << 20;
