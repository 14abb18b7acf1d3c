// The HTTP/1.1 client of the edge: requests with a whole body to a known server, over
// connections that stay open. Node's own client takes a third more CPU time for a mint and a
// gate, and a seventh for a cold start (docs/decisions.md). It reads answers strictly
// (https://www.rfc-editor.org/rfc/rfc9112): whatever is not clearly the answer to the request
// is none, and then the caller does not know what became of the request.

// A socket that has been idle for longer is not used again. AWS does not say when S3 and
// DynamoDB close idle connections, and the container may have been frozen for hours.
const IDLE_MS = 15_000;

// No answer that the index needs comes near these sizes.
const MAX_HEAD_BYTES = 32 << 10;
const MAX_BODY_BYTES = 1 << 20;

// The errors of a reused connection that the other side has closed.
const DEAD = new Set(['ECONNRESET', 'EPIPE']);

const NOTHING = Buffer.alloc(0);

// Server is one server and the connections to it that wait for their next request.
export class Server {
  #secure;
  #address;
  #idle = [];
  #lastUse = 0;
  #session; // of TLS, to be resumed

  // url is a URL, of which protocol, hostname and port count.
  constructor({ protocol, hostname, port }) {
    this.#secure = protocol === 'https:';
    const { isIP } = process.getBuiltinModule('node:net');
    const host = hostname.replace(/^\[(.*)\]$/, '$1');
    this.#address = {
      host, port: Number(port) || (this.#secure ? 443 : 80),
      ...this.#secure && { ALPNProtocols: ['http/1.1'], ...isIP(host) === 0 && { servername: host } },
    };
  }

  // send makes one request and reports its outcome exactly once. lines are method, target and in
  // turn the headers' names and values; lines and body hold a character for each byte. report
  // gets { status, headers, body }, where headers are names, in lower case, and values in turn;
  // or { message, stale }, where stale says that a reused connection was dead before any answer.
  // The result's destroy ends the request.
  send(lines, body, limitMs, report) {
    const exchange = new Exchange(lines[0] === 'HEAD', limitMs, report);
    // A line end would make two headers or two requests of one.
    if (lines.some((line) => /[\r\n\0]/.test(line))) {
      queueMicrotask(() => exchange.fail('a control character in the request'));
      return exchange;
    }
    let request = `${lines[0]} ${lines[1]} HTTP/1.1\r\n`;
    for (let i = 2; i + 1 < lines.length; i += 2) request += `${lines[i]}: ${lines[i + 1]}\r\n`;
    this.#connection().send(exchange, `${request}\r\n${body}`);
    return exchange;
  }

  #connection() {
    const now = Date.now();
    if (now - this.#lastUse > IDLE_MS) this.dropIdle();
    this.#lastUse = now;
    return this.#idle.pop() ?? new Connection(this, this.#open(), this.#secure);
  }

  #open() {
    if (!this.#secure) return process.getBuiltinModule('node:net').connect(this.#address);
    const socket = process.getBuiltinModule('node:tls').connect({ ...this.#address, session: this.#session });
    socket.on('session', (session) => { this.#session = session; });
    return socket;
  }

  keep(connection) { this.#idle.push(connection); }

  forget(connection) {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  dropIdle() { for (const connection of this.#idle.splice(0)) connection.drop(); }
}

// Exchange is one request and its answer.
class Exchange {
  #report;
  #timer;

  constructor(bodiless, limitMs, report) {
    this.bodiless = bodiless; // a HEAD, whose answer has no body whatever it says
    this.connection = undefined;
    this.#report = report;
    this.#timer = setTimeout(() => this.fail(`no answer within ${limitMs} ms`), limitMs);
  }

  succeed(answer) {
    clearTimeout(this.#timer);
    const report = this.#report;
    this.#report = undefined;
    report?.(answer);
  }

  fail(message, stale = false) {
    this.connection?.drop();
    this.succeed({ message, stale });
  }

  destroy() { this.fail('given up'); }
}

// Connection is one connection, with one request at a time.
class Connection {
  #server;
  #socket;
  #exchange;
  #used = 0;
  #begun = false; // something has come back
  #received = NOTHING;
  #head; // of the answer under way, once it is there
  #secured;

  constructor(server, socket, secure) {
    this.#server = server;
    this.#socket = socket;
    this.#secured = !secure;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 1000);
    socket.on('data', (bytes) => this.#data(bytes));
    socket.on('error', (error) => this.#broken(String(error.message), DEAD.has(error.code)));
    socket.on('end', () => this.#ended());
    socket.on('close', () => this.#broken('the connection ended without an answer', true));
  }

  send(exchange, request) {
    this.#exchange = exchange;
    exchange.connection = this;
    this.#used++;
    this.#begun = false;
    if (this.#used > 1) this.#socket.ref();
    if (this.#secured) {
      this.#socket.write(request, 'latin1');
      return;
    }
    // Nothing is written before the server has shown its certificate.
    this.#socket.once('secureConnect', () => {
      this.#secured = true;
      if (this.#exchange === exchange) this.#socket.write(request, 'latin1');
    });
  }

  drop() {
    this.#exchange = undefined;
    this.#server.forget(this);
    this.#socket.destroy();
  }

  #broken(message, dead) {
    const exchange = this.#exchange;
    this.drop();
    if (!exchange) return;
    // The other idle connections are older and probably dead as well.
    this.#server.dropIdle();
    exchange.fail(this.#begun ? 'answer cut short' : message, dead && this.#used > 1 && !this.#begun);
  }

  #ended() {
    if (this.#head?.length === Infinity) this.#whole(this.#received.subarray(this.#head.end), false);
    else this.#broken('the connection ended without an answer', true);
  }

  #data(bytes) {
    if (!this.#exchange) {
      this.drop(); // nobody has asked for anything
      return;
    }
    this.#begun = true;
    this.#received = this.#received.length ? Buffer.concat([this.#received, bytes]) : bytes;
    try {
      this.#read();
    } catch (error) {
      this.#exchange?.fail(String(error.message));
    }
  }

  // #read looks whether the answer is whole.
  #read() {
    while (!this.#head) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end > MAX_HEAD_BYTES || end < 0 && this.#received.length > MAX_HEAD_BYTES) throw new Error('answer too large');
      if (end < 0) return;
      const head = parseHead(this.#received.latin1Slice(0, end), this.#exchange.bodiless);
      head.end = end + 4;
      if (head.status >= 200) this.#head = head;
      else if (head.status === 101) throw new Error('the server changes the protocol');
      else this.#received = this.#received.subarray(head.end); // another answer follows
    }
    const { end, length, chunked } = this.#head;
    if (this.#received.length - end > MAX_BODY_BYTES + (chunked ? MAX_BODY_BYTES : 0) || length !== Infinity && length > MAX_BODY_BYTES) throw new Error('answer too large');
    if (chunked) {
      const whole = dechunk(this.#received, end);
      if (whole) this.#whole(whole.body, whole.end === this.#received.length);
    } else if (this.#received.length >= end + length) {
      this.#whole(this.#received.subarray(end, end + length), this.#received.length === end + length);
    }
  }

  // #whole hands the answer over. clean says that nothing came behind it.
  #whole(body, clean) {
    const { status, headers, keep } = this.#head;
    const exchange = this.#exchange;
    this.#exchange = exchange.connection = this.#head = undefined;
    this.#received = NOTHING;
    if (keep && clean) {
      this.#socket.unref();
      this.#server.keep(this);
    } else {
      this.drop();
    }
    exchange.succeed({ status, headers, body });
  }
}

// parseHead reads the head of an answer. length is that of the body, Infinity if the end of the
// connection ends it.
function parseHead(text, bodiless) {
  const lines = text.split('\r\n');
  const start = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/.exec(lines[0]);
  if (!start) throw new Error('the answer is not HTTP/1.1');
  const status = Number(start[2]);
  const headers = [];
  let keep = start[1] === '1';
  let length;
  let chunked = false;
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i];
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name) || /[\r\n\0]/.test(value)) throw new Error('a header that is none in the answer');
    headers.push(name, value);
    switch (name) {
      case 'content-length':
        if (!/^\d{1,15}$/.test(value) || length !== undefined && length !== Number(value)) throw new Error('a length that is none in the answer');
        length = Number(value);
        break;
      case 'transfer-encoding':
        if (chunked || value.toLowerCase() !== 'chunked') throw new Error('an encoding that is not known in the answer');
        chunked = true;
        break;
      case 'connection':
        if (/(?:^|,)\s*close\s*(?:,|$)/i.test(value)) keep = false;
        break;
    }
  }
  if (chunked && length !== undefined) throw new Error('two lengths in the answer');
  if (bodiless || status === 204 || status === 304 || status < 200) return { status, headers, keep, length: 0, chunked: false };
  return { status, headers, keep, length: chunked ? 0 : length ?? Infinity, chunked };
}

// dechunk reads a body in chunks that begins at a place of the bytes. It returns the body and
// where it ends, or undefined if it is not all there.
function dechunk(bytes, at) {
  const pieces = [];
  for (let size = -1, total = 0; size !== 0;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0 && bytes.length - at > 1024 || line - at > 1024) throw new Error('a chunk that is none in the answer');
    if (line < 0) return undefined;
    const [digits] = bytes.latin1Slice(at, line).split(';');
    if (!/^[0-9a-fA-F]{1,8}[ \t]*$/.test(digits)) throw new Error('a chunk that is none in the answer');
    size = Number.parseInt(digits, 16);
    total += size;
    if (total > MAX_BODY_BYTES) throw new Error('answer too large');
    at = line + 2;
    if (size === 0) break;
    if (bytes.length < at + size + 2) return undefined;
    if (bytes[at + size] !== 13 || bytes[at + size + 1] !== 10) throw new Error('a chunk that is none in the answer');
    pieces.push(bytes.subarray(at, at + size));
    at += size + 2;
  }
  // What follows the last chunk are headers that nobody reads, and an empty line.
  for (;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0 && bytes.length - at > MAX_HEAD_BYTES) throw new Error('answer too large');
    if (line < 0) return undefined;
    if (line === at) return { body: pieces.length === 1 ? pieces[0] : Buffer.concat(pieces), end: line + 2 };
    at = line + 2;
  }
}
