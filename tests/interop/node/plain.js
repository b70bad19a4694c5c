// A server without HTTP/2: `node plain.js http|https [CERTIFICATE KEY]`. Prints `listening PORT`.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');

const [, , kind, certificate, key] = process.argv;
const answer = (request, response) => response.end('HTTP/1.1 only\n');
const server = kind === 'http'
  ? http.createServer(answer)
  : https.createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, answer);

server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
