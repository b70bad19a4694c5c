// The client of Node. Usage: node.mjs URL CA COUNT STREAMS UPLOAD; the rest is as in ours.py.

import { readFileSync } from "node:fs";
import http2 from "node:http2";

const [url, ca, ...numbers] = process.argv.slice(2);
const [count, streams, upload] = numbers.map(Number);
const path = new URL(url).pathname;
const PIECE = Buffer.alloc(65536, Buffer.from(Array.from({ length: 256 }, (_, i) => i)));

const session = http2.connect(new URL(url).origin, {
  ca: ca === "-" ? undefined : readFileSync(ca),
  settings: { initialWindowSize: 1024 * 1024 },
});
await new Promise((resolve) => session.once("remoteSettings", resolve));
// Without this the connection keeps the 64 KiB that HTTP/2 starts with.
session.setLocalWindowSize(16 * 1024 * 1024);

function send(stream, left) {
  while (left > 0) {
    const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
    left -= piece.length;
    if (!stream.write(piece)) {
      stream.once("drain", () => send(stream, left));
      return;
    }
  }
  stream.end();
}

function exchange() {
  return new Promise((resolve, reject) => {
    let received = 0;
    const stream = session.request(
      { ":method": upload ? "POST" : "GET", ":path": path },
      { endStream: !upload },
    );
    stream.on("data", (chunk) => (received += chunk.length));
    stream.on("end", () => resolve(received));
    stream.on("error", reject);
    if (upload) send(stream, upload);
  });
}

async function run(count) {
  let left = count;
  let received = 0;
  const worker = async () => {
    while (left > 0) {
      left -= 1;
      const bytes = await exchange();
      received += bytes;
    }
  };
  await Promise.all(Array.from({ length: Math.min(streams, count) }, worker));
  return received;
}

await run(Math.max(streams, Math.floor(count / 4))); // warms up
const start = process.hrtime.bigint();
const before = process.cpuUsage();
const received = await run(count);
const used = process.cpuUsage(before);
const seconds = Number(process.hrtime.bigint() - start) / 1e9;
console.log(seconds, (used.user + used.system) / 1e6, received);
session.close();
