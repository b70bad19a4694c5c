// Reads forms as browsers do, by the fetch API of Node (undici), over HTTP/2 and HTTP/1.1; answers with what is in them.
//   node forms.js CERTIFICATE KEY
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const http2 = require('node:http2');

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const form = await new Response(body, { headers: { 'content-type': request.headers['content-type'] } }).formData();
  const told = [];
  for (const [name, value] of form) {
    if (typeof value === 'string') {
      told.push([name, value]);
    } else {
      const content = Buffer.from(await value.arrayBuffer());
      told.push([name, value.name, value.type, content.length, crypto.createHash('sha256').update(content).digest('hex')]);
    }
  }
  return { version: request.httpVersion, length: request.headers['content-length'], size: body.length, form: told };
}

const server = http2.createSecureServer(
  { cert: fs.readFileSync(process.argv[2]), key: fs.readFileSync(process.argv[3]), allowHTTP1: true },
  async (request, response) => {
    try {
      response.end(JSON.stringify(await read(request)));
    } catch (error) {
      response.statusCode = 400;
      response.end(String(error));
    }
  },
);
server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
