// A proxy for our client, much like that of Node's documentation: `node connect_proxy.js [CERTIFICATE KEY]`. Prints
// `listening PORT`. An extended CONNECT is an echo.
'use strict';

const fs = require('node:fs');
const http2 = require('node:http2');
const net = require('node:net');

const [, , certificate, key] = process.argv;
const settings = { enableConnectProtocol: true };
const { NGHTTP2_CONNECT_ERROR, NGHTTP2_REFUSED_STREAM } = http2.constants;

function onStream(stream, headers) {
  stream.on('error', () => {});
  if (headers[':method'] !== 'CONNECT') {
    stream.close(NGHTTP2_REFUSED_STREAM);
    return;
  }
  if (headers[':protocol']) {
    stream.respond({ ':status': 200, 'x-protocol': headers[':protocol'], 'x-path': headers[':path'] });
    stream.pipe(stream);
    return;
  }
  const target = new URL(`tcp://${headers[':authority']}`);
  if (target.port === '1') {
    stream.respond({ ':status': 403 });
    stream.end('not that one\n');
    return;
  }
  const socket = net.connect({ port: target.port, host: target.hostname, allowHalfOpen: true }, () => {
    stream.respond();
    socket.pipe(stream);
    stream.pipe(socket);
  });
  socket.on('error', () => stream.close(NGHTTP2_CONNECT_ERROR));
  stream.on('aborted', () => socket.resetAndDestroy());
}

const server = certificate
  ? http2.createSecureServer({ settings, cert: fs.readFileSync(certificate), key: fs.readFileSync(key) })
  : http2.createServer({ settings });
server.on('stream', onStream);
server.on('sessionError', () => {});
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
