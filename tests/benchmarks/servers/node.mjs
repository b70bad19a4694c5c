// The server of Node. Usage: node.mjs PORT [CERTIFICATE KEY]. Paths: /small, /bytes/N, /sink (reads the body), /echo.

import { readFileSync } from "node:fs";
import http2 from "node:http2";
import { pipeline } from "node:stream";

const [port, certificate, key] = process.argv.slice(2);
const SMALL = Buffer.from("hello, world\n");
const PIECE = Buffer.alloc(65536, Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
const STREAM_HEADERS = { ":status": 200, "content-type": "application/octet-stream" };
const settings = { initialWindowSize: 1024 * 1024, maxConcurrentStreams: 1000 };

const server = certificate
  ? http2.createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key), settings })
  : http2.createServer({ settings });

function sendBytes(stream, left) {
  const more = () => {
    while (left > 0) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
      left -= piece.length;
      if (!stream.write(piece)) {
        stream.once("drain", more);
        return;
      }
    }
    stream.end();
  };
  more();
}

function respondSmall(stream) {
  stream.respond({ ":status": 200, "content-type": "text/plain", "content-length": SMALL.length });
  stream.end(SMALL);
}

server.on("session", (session) => {
  // Without this every connection keeps the 64 KiB that HTTP/2 starts with.
  session.setLocalWindowSize(16 * 1024 * 1024);
  session.on("error", () => {});
});
server.on("stream", (stream, headers) => {
  const path = headers[":path"];
  stream.on("error", () => {});
  if (path.startsWith("/bytes/")) {
    stream.respond(STREAM_HEADERS);
    sendBytes(stream, Number(path.slice(7)));
  } else if (path === "/echo") {
    stream.respond(STREAM_HEADERS);
    pipeline(stream, stream, () => {});
  } else if (path === "/sink") {
    stream.on("end", () => respondSmall(stream));
    stream.resume();
  } else {
    respondSmall(stream);
  }
});
server.listen(Number(port), "127.0.0.1");
