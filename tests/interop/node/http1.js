// A client of Node's http and https modules, with one connection that is kept alive; prints one line of JSON.
'use strict';
const fs = require('fs');

const [base, ca] = process.argv.slice(2);
const tls = base.startsWith('https:');
const http = require(tls ? 'https' : 'http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1, ca: ca && fs.readFileSync(ca) });

function exchange(method, path, { body, chunks, trailers, headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(base + path, { method, agent, headers });
    const seen = { informational: [] };
    request.on('continue', () => request.end(body));
    request.on('information', (info) => seen.informational.push(info.statusCode));
    request.on('error', reject);
    request.on('response', (response) => {
      const parts = [];
      const port = response.socket.localPort;
      response.on('data', (part) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => resolve({
        ...seen, status: response.statusCode, version: response.httpVersion, body: Buffer.concat(parts).toString(),
        trailers: response.trailers, complete: response.complete, port,
      }));
    });
    if (headers.expect) request.flushHeaders();
    else if (chunks) {
      for (const chunk of chunks) request.write(chunk);
      if (trailers) request.addTrailers(trailers);
      request.end();
    } else request.end(body);
  });
}

async function main() {
  const told = {
    get: await exchange('GET', '/hello'),
    head: await exchange('HEAD', '/hello'),
    echo: await exchange('POST', '/echo', { body: 'payload' }),
    chunked: await exchange('PUT', '/sum', { chunks: ['pay', 'load'], trailers: { 'x-sum': '12' }, headers: { trailer: 'x-sum' } }),
    trailers: await exchange('GET', '/trailers'),
    hints: await exchange('GET', '/hints'),
    expect: await exchange('POST', '/continue', { body: 'payload', headers: { expect: '100-continue', 'content-length': 7 } }),
    early: await exchange('POST', '/early', { body: 'x'.repeat(100000) }),
    after: await exchange('GET', '/version'),
  };
  console.log(JSON.stringify(told));
  agent.destroy();
}

main().catch((error) => { console.error(error); process.exit(1); });
