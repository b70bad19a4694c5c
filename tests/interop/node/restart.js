// Keep-alive connections of Node's http and https modules, busy until told to stop on stdin; nothing is tried again.
// Prints the number of each process that answers when it first does, and a line of JSON at the end.
'use strict';
const fs = require('fs');

const [base, least, ca] = process.argv.slice(2);
const http = require(base.startsWith('https:') ? 'https' : 'http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 24, scheduling: 'fifo', ca: ca && fs.readFileSync(ca) });
const workers = new Set();
const failures = [];
let answered = 0, reused = 0, stop = false;

process.stdin.on('data', () => { stop = true; });

function exchange(body) {
  return new Promise((resolve, reject) => {
    const request = http.request(base, { method: 'POST', agent });
    request.on('error', reject);
    request.on('response', (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        if (Buffer.concat(parts).toString() !== body) reject(new Error(`status ${response.statusCode}, wrong body`));
        const worker = response.headers.worker;
        if (!workers.has(worker)) console.log(`worker ${worker}`);
        workers.add(worker);
        if (request.reusedSocket) reused++;
        resolve();
      });
    });
    request.end(body);
  });
}

async function client(number) {
  for (let count = 0; !stop || answered < Number(least); count++) {
    try {
      await exchange(`${number}.${count}`);
      answered++;
    } catch (error) {
      failures.push(String(error));
      if (failures.length > 20) process.exit(1);
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
  }
}

Promise.all(Array.from({ length: 24 }, (_, number) => client(number))).then(() => {
  console.log(JSON.stringify({ answered, reused, workers: workers.size, failures }));
  process.exit(0);
});
