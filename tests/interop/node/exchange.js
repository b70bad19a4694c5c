// What the client scenarios share: a session, and one request with everything that comes back.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const http2 = require('node:http2');

/** Connects; resolves when the server's first SETTINGS have come. */
function connect(url, ca, options = {}) {
  return new Promise((resolve, reject) => {
    const session = http2.connect(url, { ...(ca ? { ca: fs.readFileSync(ca) } : {}), ...options });
    session.once('error', reject);
    session.once('remoteSettings', () => {
      session.off('error', reject);
      session.on('error', (error) => { session.failure = error.code || error.message; });
      resolve(session);
    });
  });
}

/** Resolves when the session is closed. */
function closed(session) {
  return new Promise((resolve) => {
    if (session.closed && session.destroyed) resolve();
    else session.once('close', resolve);
  });
}

/**
 * Sends a request and resolves, when its stream is closed, to all that was seen of the exchange.
 *
 * options.body: a buffer, or an async iterable of buffers; options.trailers: sent after it;
 * options.onResponse(stream, headers), options.onData(stream, chunk), options.onEnd(stream): called on the way.
 */
function exchange(session, headers, options = {}) {
  return new Promise((resolve) => {
    const { body, trailers, onResponse, onData, onEnd } = options;
    const stream = session.request(headers, { endStream: body === undefined, waitForTrailers: trailers !== undefined });
    const hash = crypto.createHash('sha256');
    const seen = { status: null, headers: {}, informational: [], length: 0, ended: false, trailers: null, error: null };
    stream.on('headers', (fields) => seen.informational.push({ ...fields }));
    stream.on('response', (fields) => {
      seen.status = fields[':status'];
      seen.headers = { ...fields };
      if (onResponse) onResponse(stream, fields);
    });
    stream.on('data', (chunk) => {
      hash.update(chunk);
      seen.length += chunk.length;
      if (onData) onData(stream, chunk);
    });
    stream.on('end', () => {
      seen.ended = true;
      if (onEnd) onEnd(stream);
    });
    stream.on('trailers', (fields) => { seen.trailers = { ...fields }; });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.on('error', (error) => { seen.error = error.code || error.message; });
    stream.on('close', () => resolve({ ...seen, sha256: hash.digest('hex'), rstCode: stream.rstCode, id: stream.id }));
    if (body !== undefined) send(stream, body);
  });
}

async function send(stream, body) {
  if (Buffer.isBuffer(body)) {
    stream.end(body);
    return;
  }
  for await (const piece of body) {
    if (stream.destroyed || stream.closed) return;
    if (!stream.write(piece)) {
      await new Promise((resolve) => { stream.once('drain', resolve); stream.once('close', resolve); });
    }
  }
  stream.end();
}

/** Yields a body of so many octets in pieces of 64 KiB; its checksum is in `hash`. */
function* pieces(length, hash) {
  const block = crypto.randomBytes(64 * 1024 + 1);
  for (let left = length; left > 0; left -= block.length) {
    const piece = block.subarray(0, Math.min(left, block.length));
    hash.update(piece);
    yield piece;
  }
}

module.exports = { connect, closed, exchange, pieces };
