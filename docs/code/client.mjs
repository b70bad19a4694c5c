// The client under test: prints what the server says.
import http2 from "node:http2";

const session = http2.connect(process.env.SERVER_URL);
session.on("error", (error) => { throw error; });

const request = session.request({ ":path": "/node" });
request.pipe(process.stdout);
request.on("end", () => session.close());
