// Talks to a server of ours: `node client.js SCENARIO URL [CA-FILE]`. The last line it prints is the result as JSON;
// what is true or false about it the test decides. Lines before it tell the test how far it has come.
'use strict';

const crypto = require('node:crypto');
const http2 = require('node:http2');
const readline = require('node:readline');
const { connect, closed, exchange, pieces } = require('./exchange.js');

const MIB = 1024 * 1024;
const [, , scenario, url, ca] = process.argv;

/** Resolves when the test has written a line. */
function told() {
  return new Promise((resolve) => {
    const lines = readline.createInterface({ input: process.stdin });
    lines.once('line', () => { lines.close(); process.stdin.destroy(); resolve(); });
  });
}

const scenarios = {
  async basics(session) {
    const get = await exchange(session, { ':path': '/hello' });
    const head = await exchange(session, { ':path': '/hello', ':method': 'HEAD' });
    const post = await exchange(session, { ':path': '/echo', ':method': 'POST' }, { body: Buffer.from('payload') });
    const missing = await exchange(session, { ':path': '/nowhere' });
    return { get, head, post, missing, alpn: session.alpnProtocol, encrypted: session.encrypted };
  },

  async settings(session) {
    const remote = { ...session.remoteSettings };
    // Acknowledged while a body is on its way, whose window shrinks and grows with it (RFC 9113 §6.9.2).
    const body = exchange(session, { ':path': `/bytes/${4 * MIB}` });
    for (const initialWindowSize of [1000, 200_000, 70_000]) {
      await new Promise((resolve, reject) => {
        session.settings({ initialWindowSize }, (error) => (error ? reject(error) : resolve()));
      });
    }
    return { remote, local: { ...session.localSettings }, body: await body };
  },

  async ping(session) {
    const answers = [];
    for (const payload of ['01234567', 'abcdefgh']) {
      answers.push(await new Promise((resolve, reject) => {
        session.ping(Buffer.from(payload), (error, ms, echoed) => (error ? reject(error) : resolve(echoed.toString())));
      }));
    }
    return { answers };
  },

  async parallel(session) {
    const lengths = Array.from({ length: 300 }, (_, n) => n * 997);
    const all = await Promise.all(lengths.map((n) => exchange(session, { ':path': `/bytes/${n}` })));
    return { wrong: all.filter((r, n) => r.status !== 200 || r.length !== lengths[n] || r.rstCode !== 0
      || r.trailers['x-sha256'] !== r.sha256).length, count: all.length };
  },

  async trailers(session) {
    const down = await exchange(session, { ':path': '/trailers' });
    const up = await exchange(session, { ':path': '/echo', ':method': 'POST' },
      { body: Buffer.from('payload'), trailers: { 'x-sum': '12' } });
    return { down, up };
  },

  async large(session) {
    const down = await exchange(session, { ':path': `/bytes/${50 * MIB}` });
    const hash = crypto.createHash('sha256');
    const up = await exchange(session, { ':path': '/echo', ':method': 'POST' }, { body: pieces(50 * MIB, hash) });
    return { down, up, sent: hash.digest('hex') };
  },

  async slow(session) {
    // Reads one chunk, then none for 20 ms; beside it, other requests must not wait.
    const slow = exchange(session, { ':path': `/bytes/${MIB}` }, {
      onData(stream) { stream.pause(); setTimeout(() => stream.resume(), 20); },
    });
    const beside = await Promise.all(Array.from({ length: 20 }, () => exchange(session, { ':path': '/hello' })));
    return { slow: await slow, beside: beside.map((r) => r.status) };
  },

  async early(session) {
    const hash = crypto.createHash('sha256');
    const upload = await exchange(session, { ':path': '/early', ':method': 'POST' }, {
      body: pieces(50 * MIB, hash),
      // After RST_STREAM(NO_ERROR) Node may wait for ever for a write that it has not begun.
      onEnd(stream) { stream.destroy(); },
    });
    return { upload, after: await exchange(session, { ':path': '/hello' }) };
  },

  async informational(session) {
    const hints = await exchange(session, { ':path': '/hints' });
    const go = await exchange(session, { ':path': '/continue', ':method': 'POST', expect: '100-continue' },
      { body: Buffer.from('payload') });
    return { hints, go };
  },

  async interim(session) {
    // Several, in order; then a body that is held until 100.
    const many = await exchange(session, { ':path': '/interim' });
    const order = [];
    const stream = session.request({ ':path': '/sum', ':method': 'POST', expect: '100-continue' }, { endStream: false });
    stream.on('continue', () => { order.push('continue'); stream.end('held until then'); });
    stream.on('response', (fields) => order.push(fields[':status']));
    let sum = '';
    stream.on('data', (chunk) => { sum += chunk; });
    await new Promise((resolve) => { stream.on('close', resolve); });
    const rejected = await new Promise((resolve) => {
      const refused = session.request({ ':path': '/reject', ':method': 'POST', expect: '100-continue' }, { endStream: false });
      let continued = false;
      refused.on('continue', () => { continued = true; });
      refused.on('response', (fields) => { refused.close(8); resolve({ status: fields[':status'], continued }); });
    });
    return { many, order, sum: JSON.parse(sum), rejected };
  },

  async bare(session) {
    const down = await exchange(session, { ':path': '/bare' });
    const up = await exchange(session, { ':path': '/sum', ':method': 'POST' },
      { body: Buffer.alloc(0), trailers: { 'x-sum': '0' } });
    return { down, up };
  },

  async announced(session) {
    // What the server says beside its streams; GOAWAY last, for it ends the session.
    const seen = { altsvc: [], origin: [], remote: [], pings: [], goaways: [] };
    session.on('altsvc', (alt, origin, stream) => seen.altsvc.push([alt, origin, stream]));
    session.on('origin', (origins) => seen.origin.push(origins));
    session.on('remoteSettings', (settings) => seen.remote.push({ ...settings }));
    session.on('ping', (payload) => seen.pings.push(payload.toString()));
    session.on('goaway', (code, last, data) => seen.goaways.push([code, last, data ? data.toString() : null]));
    const answers = {};
    for (const path of ['/altsvc', '/origin', '/settings', '/ping', '/goaway']) {
      answers[path] = await exchange(session, { ':path': path });
    }
    return { seen, answers, originSet: session.originSet || null, closed: await closed(session) };
  },

  async telling(session) {
    // What the client says beside its streams, while one is open.
    const open = exchange(session, { ':path': '/gate' }, { onResponse() { console.log('open'); } });
    await new Promise((resolve) => { session.settings({ maxHeaderListSize: 4711, enablePush: false }, resolve); });
    await new Promise((resolve) => { session.ping(Buffer.from('from-you'), resolve); });
    session.goaway(0, 0, Buffer.from('opaque \u00e4'));
    await told();
    return { open: await open };
  },

  async reset(session) {
    const aborted = await exchange(session, { ':path': '/hang' }, { onData(stream) { stream.close(8); } });
    return { aborted, after: await exchange(session, { ':path': '/hello' }) };
  },

  async rapid(session) {
    // Streams that are given up at once, in the middle of a body and of an upload.
    const gone = await Promise.all(Array.from({ length: 60 }, (_, n) => exchange(session,
      { ':path': n % 2 ? `/bytes/${10 * MIB}` : '/echo', ':method': n % 2 ? 'GET' : 'POST' },
      { body: n % 2 ? undefined : pieces(MIB, crypto.createHash('sha256')), onData(stream) { stream.close(8); } })));
    return { gone: gone.length, after: await exchange(session, { ':path': '/hello' }) };
  },

  async failures(session) {
    const results = {};
    for (const path of ['/boom', '/late-boom', '/reset/7', '/reset/11', '/hang']) {
      results[path] = await exchange(session, { ':path': path });
    }
    return { ...results, after: await exchange(session, { ':path': '/hello' }) };
  },

  async oversize(session) {
    const fields = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`x-${n}`, 'v'.repeat(4000)]));
    const refused = await exchange(session, { ':path': '/hello', ...fields });
    return { refused, after: await exchange(session, { ':path': '/hello' }) };
  },

  // Takes three pushes, refuses the second; then forbids any.
  async push(session) {
    const pushes = {};
    const over = new Promise((resolve) => {
      session.on('stream', (stream, headers, flags) => {
        const seen = { promised: { ...headers }, flags, length: 0, ended: false, error: null };
        pushes[headers[':path']] = seen;
        stream.on('push', (fields) => { seen.status = fields[':status']; });
        stream.on('data', (chunk) => { seen.length += chunk.length; });
        stream.on('trailers', (fields) => { seen.trailers = { ...fields }; });
        stream.on('end', () => { seen.ended = true; });
        stream.on('error', (error) => { seen.error = error.code || error.message; });
        stream.on('close', () => {
          seen.rstCode = stream.rstCode;
          if (Object.values(pushes).filter((push) => 'rstCode' in push).length === 3) resolve();
        });
        if (headers[':path'] === '/pushed/1') stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
      });
    });
    const page = await exchange(session, { ':path': '/push/3' });
    await over;
    await new Promise((resolve) => { session.settings({ enablePush: false }, resolve); });
    const without = await exchange(session, { ':path': '/push/3' });
    return { page, pushes, without };
  },

  async drain(session) {
    const goaways = [];
    session.on('goaway', (code, last) => goaways.push({ code, last }));
    const running = Array.from({ length: 10 }, () => exchange(session, { ':path': '/gate' }));
    console.log('running');
    await told();
    return { running: await Promise.all(running), goaways, closed: await closed(session), failure: session.failure };
  },

  async leave(session) {
    // Node says GOAWAY itself, and what runs goes on to its end.
    const running = exchange(session, { ':path': `/bytes/${4 * MIB}` }, { onResponse() { session.close(); } });
    return { running: await running, closed: await closed(session), failure: session.failure };
  },
};

async function main() {
  const session = await connect(url, ca, { maxSendHeaderBlockLength: 200_000 });
  const result = await scenarios[scenario](session);
  session.close();
  console.log(JSON.stringify(result));
}

main().catch((error) => { console.error(error); process.exit(1); });
