// Reads files: `node files.js URL [CA-FILE]`. The line it prints is what it saw of each exchange, as JSON.
'use strict';

const { connect, closed, exchange } = require('./exchange.js');

const [, , url, ca] = process.argv;

async function main() {
  const session = await connect(url, ca);
  const get = (path, headers = {}) => exchange(session, { ':path': path, ...headers });
  const whole = await get('/big.bin');
  const { etag, 'last-modified': date } = whole.headers;
  const seen = {
    whole,
    head: await get('/big.bin', { ':method': 'HEAD' }),
    part: await get('/big.bin', { range: 'bytes=1000-299999', 'if-range': etag }),
    parts: await get('/big.bin', { range: 'bytes=0-9,1000000-1000009' }),
    stale: await get('/big.bin', { range: 'bytes=0-9', 'if-range': '"stale"' }),
    beyond: await get('/big.bin', { range: 'bytes=9999999-' }),
    same: await get('/big.bin', { 'if-none-match': etag }),
    since: await get('/big.bin', { 'if-modified-since': date }),
    failed: await get('/big.bin', { 'if-match': '"stale"' }),
    coded: await get('/page.html', { 'accept-encoding': 'gzip, deflate' }),
    missing: await get('/missing'),
    many: await Promise.all(Array.from({ length: 100 }, (_, n) => get('/big.bin', { range: `bytes=${n * 1000}-${n * 1000 + 499}` }))),
  };
  session.close();
  await closed(session);
  process.stdout.write(`${JSON.stringify(seen)}\n`);
}

main();
