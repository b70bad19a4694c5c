// Run with: node --test serving.test.mjs
import assert from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http2 from "node:http2";
import readline from "node:readline";
import { after, before, test } from "node:test";

let server, url, ca;

before(async () => {
  server = spawn("python3", ["serve_tests.py"], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(readline.createInterface(server.stdout), "line");
  const told = JSON.parse(line);
  url = told.url;
  ca = readFileSync(told.ca_file);
});

after(() => server.stdin.end());

test("it greets", async () => {
  const session = http2.connect(url, { ca });
  const request = session.request({ ":path": "/node" });
  const [headers] = await once(request, "response");
  assert.equal(headers[":status"], 200);
  assert.equal((await request.toArray()).join(""), "hello, /node\n");
  session.close();
});
