// The server that our client talks to: `node server.js [CERTIFICATE KEY]`. Prints `listening PORT`, then what happens
// to its streams and sessions, one line of JSON each. Every path does one thing that a client can check.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const http2 = require('node:http2');

const [, , certificate, key] = process.argv;
const settings = { maxConcurrentStreams: 20, initialWindowSize: 100_000, enablePush: false };
const HELLO = 'from node\n';
const BLOCK = crypto.randomBytes(64 * 1024 + 1);

const tell = (event) => console.log(JSON.stringify(event));

/** Streams a body of so many octets as fast as the client takes it, then its checksum as a trailer. */
async function sendBytes(stream, length) {
  const hash = crypto.createHash('sha256');
  stream.respond({ ':status': 200, 'content-length': length }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sha256': hash.digest('hex') }));
  for (let left = length; left > 0 && !stream.closed; left -= BLOCK.length) {
    const piece = BLOCK.subarray(0, Math.min(left, BLOCK.length));
    hash.update(piece);
    if (!stream.write(piece)) {
      await new Promise((resolve) => { stream.once('drain', resolve); stream.once('close', resolve); });
    }
  }
  stream.end();
}

const waiting = [];

const paths = {
  hello(stream) {
    stream.respond({ ':status': 200, 'content-type': 'text/plain' });
    if (!stream.headRequest) stream.end(HELLO);
  },

  headers(stream, headers) {
    stream.respond({ ':status': 200 });
    stream.end(JSON.stringify(headers));
  },

  echo(stream) {
    let trailers = {};
    stream.on('trailers', (fields) => { trailers = { ...fields }; });
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-echo': trailers['x-sum'] || 'none' }));
    stream.pipe(stream);
  },

  bytes(stream, headers, length) { sendBytes(stream, Number(length)); },

  // Reads a chunk, then none for a moment.
  sip(stream) {
    let length = 0;
    stream.on('data', (chunk) => {
      length += chunk.length;
      stream.pause();
      setTimeout(() => stream.resume(), 2);
    });
    stream.on('end', () => { stream.respond({ ':status': 200 }); stream.end(String(length)); });
  },

  // Writes a little, then nothing for a moment.
  drip(stream, headers, count) {
    stream.respond({ ':status': 200 });
    let left = Number(count);
    const timer = setInterval(() => {
      stream.write('drop\n');
      left -= 1;
      if (left === 0) { clearInterval(timer); stream.end(); }
    }, 5);
  },

  informational(stream) {
    stream.additionalHeaders({ ':status': 100 });
    stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
    paths.hello(stream);
  },

  weight(stream) {
    stream.respond({ ':status': 200 });
    stream.end(String(stream.state.weight));
  },

  early(stream) {
    stream.respond({ ':status': 413 });
    stream.end('too much\n');
    stream.close(http2.constants.NGHTTP2_NO_ERROR);
  },

  push(stream) {
    let refused = null;
    try {
      stream.pushStream({ ':path': '/hello' }, () => {});
    } catch (error) {
      refused = error.code;
    }
    stream.respond({ ':status': 200 });
    stream.end(JSON.stringify({ pushAllowed: stream.pushAllowed, refused }));
  },

  // Pushes so many streams, /pushed/0 …, each with its path as the body and in a trailer.
  promise(stream, headers, count) {
    for (let number = 0; number < Number(count); number += 1) {
      const path = `/pushed/${number}`;
      stream.pushStream({ ':path': path, 'x-number': number }, (error, pushed) => {
        if (error) throw error;
        pushed.on('error', (failure) => tell({ streamError: failure.code || failure.message, path }));
        pushed.on('close', () => tell({ closed: path, rstCode: pushed.rstCode }));
        pushed.on('wantTrailers', () => pushed.sendTrailers({ 'x-path': path }));
        pushed.respond({ ':status': 200 }, { waitForTrailers: true });
        pushed.end(path);
      });
    }
    paths.hello(stream);
  },

  // Resets with a code, before any response.
  reset(stream, headers, code) { stream.close(Number(code)); },

  // Fails in the middle of the body.
  fail(stream) {
    stream.respond({ ':status': 200 });
    stream.write(HELLO, () => setTimeout(() => stream.destroy(new Error('deliberate')), 10));
  },

  // Waits for a request to /open, or until the session says what else.
  gate(stream) {
    stream.respond({ ':status': 200 });
    stream.write(HELLO);
    waiting.push(stream);
  },

  open(stream) {
    for (const other of waiting.splice(0)) other.end(HELLO);
    paths.hello(stream);
  },

  // GOAWAY with a code, the last stream id that counts, and debug data; nothing is closed.
  goaway(stream, headers, code, last) {
    stream.session.goaway(Number(code), Number(last), Buffer.from('because of the test'));
    paths.hello(stream);
  },

  // GOAWAY, no new streams, and the end when all are done.
  close(stream) {
    stream.session.close();
    paths.hello(stream);
  },

  destroy(stream) { stream.session.destroy(); },

  settings(stream, headers, streams, window) {
    stream.session.settings({ maxConcurrentStreams: Number(streams), initialWindowSize: Number(window) }, () => {
      paths.hello(stream);
    });
  },

  ping(stream) {
    stream.session.ping(Buffer.from('01234567'), (error, ms, payload) => {
      stream.respond({ ':status': 200 });
      stream.end(payload.toString());
    });
  },

  // Several interim responses, then waits for the body of a request that expects 100, and sends it back.
  expect(stream, headers) {
    let early = 0;
    const count = (chunk) => { early += chunk.length; };
    stream.on('data', count);
    stream.additionalHeaders({ ':status': 102 });
    stream.additionalHeaders({ ':status': 103, link: '</first.css>; rel=preload' });
    stream.additionalHeaders({ ':status': 103, link: '</second.css>; rel=preload' });
    setTimeout(() => {
      stream.off('data', count);
      stream.additionalHeaders({ ':status': 100 });
      stream.respond({ ':status': 200, 'x-early': String(early), 'x-expect': headers.expect });
      stream.pipe(stream);
    }, 50);
  },

  // Answers a request that expects 100 finally.
  reject(stream) {
    let length = 0;
    stream.on('data', (chunk) => { length += chunk.length; });
    stream.respond({ ':status': 417 });
    stream.end('no\n');
    stream.on('close', () => tell({ rejected: length }));
  },

  // No body, only trailers, as the request had them.
  bare(stream) {
    let trailers = {};
    stream.on('trailers', (fields) => { trailers = { ...fields }; });
    stream.on('end', () => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-echo': trailers['x-sum'] || 'none' }));
      stream.end();
    });
    stream.resume();
  },

  altsvc(stream) {
    stream.session.altsvc('h2=":8000"', 'https://example.org:8443/foo');
    stream.session.altsvc('h3=":443"; ma=60', stream.id);
    stream.session.altsvc('clear', 'http://example.com');
    paths.hello(stream);
  },

  origin(stream) {
    stream.session.origin('https://example.org/foo', 'https://example.com:444');
    stream.session.origin('https://third.example');
    paths.hello(stream);
  },
};

const server = certificate
  ? http2.createSecureServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key), settings })
  : http2.createServer({ settings });

server.on('session', (session) => {
  session.on('goaway', (code, last, data) => {
    tell({ goaway: code });
    if (data) tell({ opaque: data.toString(), last });
  });
  session.on('ping', (payload) => tell({ pinged: payload.toString() }));
  session.on('remoteSettings', (remote) => tell({ remote: { ...remote } }));
  session.on('error', (error) => tell({ sessionError: error.code || error.message }));
  session.on('close', () => tell({ sessionClosed: true }));
});

server.on('stream', (stream, headers) => {
  const path = headers[':path'];
  stream.on('error', (error) => tell({ streamError: error.code || error.message, path }));
  stream.on('close', () => tell({ closed: path, rstCode: stream.rstCode }));
  const [, name, ...rest] = path.split('/');
  if (name in paths) {
    paths[name](stream, headers, ...rest);
  } else {
    stream.respond({ ':status': 404 }, { endStream: true });
  }
});

server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
