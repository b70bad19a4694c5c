// Asks a proxy of ours for tunnels: `node connect_client.js METHOD URL TARGET [CA-FILE]`, with the method CONNECT or
// another one, or a :protocol with a path as TARGET. Says its name, ends, and prints what has come as one line of JSON.
'use strict';

const fs = require('node:fs');
const http2 = require('node:http2');

const [, , method, url, target, ca] = process.argv;
const session = http2.connect(url, ca ? { ca: fs.readFileSync(ca) } : {});

session.once('remoteSettings', (settings) => {
  const plain = { ':method': method, ':authority': target };
  const extended = { ':method': 'CONNECT', ':protocol': method, ':path': target };
  const other = { ':method': method, ':path': '/' };
  const fields = method === 'CONNECT' ? plain : method === method.toUpperCase() ? other : extended;
  const seen = { offered: settings.enableConnectProtocol, status: null, body: '', ended: false, error: null };
  const stream = session.request(fields, { endStream: false });
  stream.setEncoding('utf8');
  stream.on('response', (headers) => { seen.status = headers[':status']; });
  stream.on('data', (chunk) => { seen.body += chunk; });
  stream.on('end', () => { seen.ended = true; });
  stream.on('error', (error) => { seen.error = error.code; });
  stream.on('close', () => {
    console.log(JSON.stringify({ ...seen, rstCode: stream.rstCode }));
    session.close();
  });
  stream.end('Jane');
});
