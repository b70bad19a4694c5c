"use strict";
// Draws a trace. What comes from the trace is untrusted: it is put on the page as text (`textContent`, `fillText`) and
// never as markup. Times are microseconds since the session's first event; the shape of the data is that of the
// `page_data` methods in Python.

const byId = id => document.getElementById(id);

// A fault of this page is said on it, rather than only in a console.
addEventListener("error", event => addNote(`This page has a fault: ${event.message}`));

function addNote(text) {
  byId("notes").append(element("li", {}, text));
}

/** Makes an element; strings among the children become text. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

// ---- Text ----

/** Shows control characters, and those that turn the direction of writing, as escapes. */
const clean = text => String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, c => `\\u{${c.codePointAt(0).toString(16)}}`);

/** A number of things: "1 stream", "2 streams". */
const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

function showTime(us, digits = 3) {
  if (us === undefined || us === null) return "";
  const ms = us / 1000;
  if (Math.abs(us) < 1000) return `${Math.round(us)} µs`;
  if (ms < 1000) return `${+ms.toPrecision(digits)} ms`;
  if (ms < 120_000) return `${+(ms / 1000).toPrecision(digits)} s`;
  if (ms < 7_200_000) return `${Math.floor(ms / 60_000)} min ${Math.round(ms % 60_000 / 1000)} s`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
}

/** A point in time: to the microsecond, as far as that can be read. */
const showAt = us => showTime(us, 7);

function showBytes(count) {
  if (Math.abs(count) < 1024) return `${count} B`;
  for (const [unit, size] of [["KiB", 2 ** 10], ["MiB", 2 ** 20], ["GiB", 2 ** 30], ["TiB", 2 ** 40]]) {
    if (Math.abs(count) < size * 1000 || unit === "TiB") return `${+(count / size).toPrecision(3)} ${unit}`;
  }
}

const LIMITS = {
  "send stream_window": "the peer's window for the stream is used up",
  "send session_window": "the peer's window for the session is used up",
  "receive stream_window": "our window for the stream is used up: the application does not read",
  "receive session_window": "our window for the session is used up: the application does not read",
  "send transport": "the network takes nothing, or the peer's program, which does not read its socket",
  "send peer_streams": "requests wait: the peer allows no more streams",
};
const showLimit = stall => LIMITS[`${stall.side} ${stall.limit}`] ?? `${clean(stall.side)}: ${clean(stall.limit)}`;

// ---- The data ----

const data = JSON.parse(byId("data").textContent);
let session; // the session that is shown, and its streams in their order
let rows = []; // those that pass the search
let chosen = null; // the stream whose details are shown
let from = 0, to = 1; // the part of time that is shown

const lastTime = stream => stream.closed ?? Math.max(stream.response_end ?? 0, session.length);
const duration = stream => lastTime(stream) - stream.opened;
const isReset = stream => ["reset", "session", "cut"].includes(stream.end_how);
const stalledFor = stream => (stream.stalls ?? []).reduce((sum, stall) => sum + everyNth(stall.spans, 4, 2).reduce((a, b) => a + b, 0), 0);
const everyNth = (numbers, step, first) => numbers.filter((_, i) => i % step === first);

/** The request as one line; what is not known, or was removed, is left out. */
function requestLine(stream) {
  const target = stream.path ?? stream.authority ?? "";
  return clean(`${stream.push ? "push " : ""}${stream.method ?? ""} ${target}`.trim());
}

function ending(stream) {
  if (!stream.end_how) return "open";
  const by = { local: "by us", library: "by the library", remote: "by the peer" }[stream.end_by] ?? "";
  const how = { complete: "complete", reset: `reset ${by}`, session: "the session ended first", cut: `cut ${by}` }[stream.end_how] ?? stream.end_how;
  return clean([how.trim(), stream.end_error_code, stream.end_reason].filter(Boolean).join(": "));
}

/** All that a search looks at, made when a search first needs it. */
function searchText(stream) {
  if (stream.text === undefined) {
    const heads = Object.values(stream.heads ?? {}).flatMap(number => data.heads[number].map(field => `${field[0]}: ${field[1] ?? ""}`));
    const marks = (stream.marks ?? []).map(mark => mark[2]);
    stream.text = [`#${stream.id} `, requestLine(stream), stream.authority, stream.status, ending(stream), ...heads, ...marks].join("\n").toLowerCase();
  }
  return stream.text;
}

const ORDERS = {
  opened: (a, b) => a.opened - b.opened || a.id - b.id,
  duration: (a, b) => duration(b) - duration(a),
  first_byte: (a, b) => waited(b) - waited(a),
  stalled: (a, b) => b.stalled - a.stalled,
  bytes: (a, b) => b.sent + b.received - a.sent - a.received,
};
const waited = stream => (stream.first_byte ?? lastTime(stream)) - stream.opened;

// ---- What is shown ----

function chooseSession(number) {
  session = data.sessions[number] ?? { streams: [], marks: [], stalls: [], windows: {}, length: 0 };
  for (const stream of session.streams) stream.stalled ??= stalledFor(stream);
  chosen = null;
  fit();
}

function applySearch() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean).map(word => /^#\d+$/.test(word) ? `${word} ` : word);
  const trouble = byId("trouble").checked;
  rows = session.streams.filter(stream =>
    (!trouble || isReset(stream) || stream.stalled > 0 || !stream.end_how || stream.status >= 500) &&
    words.every(word => searchText(stream).includes(word)));
  rows.sort(ORDERS[byId("order").value]);
  if (chosen && !rows.includes(chosen)) chosen = null;
  fillTable();
  fillDetails();
  requestDraw();
}

function choose(stream, scroll = true) {
  chosen = stream;
  if (stream && scroll) scrollToRow(rows.indexOf(stream));
  fillDetails();
  for (const row of byId("streams").tBodies[0].rows) row.classList.toggle("chosen", Boolean(stream) && row.dataset.id === String(stream.id));
  requestDraw();
}

function fit() { show(0, session.length); }

/** Shows a part of time, moved and stretched so far that it lies within the session. */
function show(first, last) {
  const whole = Math.max(session.length, 1);
  const span = Math.min(Math.max(last - first, 20), whole);
  from = Math.min(Math.max(first, 0), whole - span);
  to = from + span;
  requestDraw();
}

function zoom(factor, at = (from + to) / 2) { show(at - (at - from) * factor, at + (to - at) * factor); }

function zoomTo(stream) {
  const margin = Math.max(duration(stream) * 0.05, 10);
  show(stream.opened - margin, lastTime(stream) + margin);
}

const pan = part => show(from + (to - from) * part, to + (to - from) * part);

// ---- The address keeps what is shown, so that a link leads there again ----

function readAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const number = Number(asked.get("session") ?? 0);
  byId("session").value = data.sessions[number] ? number : 0;
  byId("search").value = asked.get("search") ?? "";
  byId("order").value = Object.hasOwn(ORDERS, asked.get("order")) ? asked.get("order") : "opened";
  byId("trouble").checked = asked.get("trouble") === "1";
  chooseSession(Number(byId("session").value));
  applySearch();
  const stream = rows.find(row => String(row.id) === asked.get("stream"));
  if (stream) choose(stream);
  const [first, last] = ["from", "to"].map(name => Number(asked.get(name) ?? NaN) * 1000);
  if (last > first) show(first, last);
}

function writeAddress() {
  const now = new URLSearchParams();
  if (byId("session").value > 0) now.set("session", byId("session").value);
  if (byId("search").value) now.set("search", byId("search").value);
  if (byId("order").value !== "opened") now.set("order", byId("order").value);
  if (byId("trouble").checked) now.set("trouble", "1");
  if (chosen) now.set("stream", chosen.id);
  if (to - from < session.length) { // in milliseconds
    now.set("from", from / 1000);
    now.set("to", to / 1000);
  }
  try {
    history.replaceState(null, "", `#${now}`);
  } catch { /* Some browsers do not let files do that, or not so often. */ }
}

// ---- Table and details ----

const TABLE_ROWS = 500;
const MAX_LISTED = 200;

function fillTable() {
  const body = byId("streams").tBodies[0];
  body.replaceChildren(...rows.slice(0, TABLE_ROWS).map(stream => {
    const button = element("button", { type: "button" }, `#${stream.id}`);
    button.addEventListener("click", () => { choose(stream); byId("waterfall").focus(); });
    const marks = (stream.marks ?? []).slice(0, 10).map(mark => clean(mark[2])).join("; ");
    return element("tr", { "data-id": stream.id },
      element("td", {}, button),
      element("td", { class: "request" }, requestLine(stream)),
      element("td", { class: statusClass(stream) }, String(stream.status ?? "")),
      element("td", {}, showTime(stream.opened)),
      element("td", {}, stream.first_byte === undefined ? "" : showTime(stream.first_byte - stream.opened)),
      element("td", {}, showTime(duration(stream))),
      element("td", {}, showBytes(stream.sent)),
      element("td", {}, showBytes(stream.received)),
      element("td", { class: stream.stalled ? "bad" : undefined }, stream.stalled ? showTime(stream.stalled) : ""),
      element("td", { class: "end" }, ending(stream)),
      element("td", { class: "marks" }, marks));
  }));
  byId("table-note").textContent = rows.length > TABLE_ROWS ? `The first ${TABLE_ROWS} of ${rows.length}; a search finds others.` : "";
}

function statusClass(stream) {
  if (isReset(stream)) return "bad";
  return stream.status >= 500 ? "bad" : stream.status >= 400 ? "odd" : stream.status >= 200 ? "good" : undefined;
}

function facts(pairs) {
  return element("dl", {}, ...pairs.filter(([, value]) => value !== undefined && value !== null && value !== "")
    .flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, clean(value))]));
}

function fillDetails() {
  byId("details").replaceChildren(...(chosen ? streamDetails(chosen) : []), ...sessionDetails());
}

function streamDetails(stream) {
  const after = time => time === undefined ? undefined : `after ${showAt(time - stream.opened)}`;
  const whole = element("button", { type: "button" }, "Zoom to it");
  whole.addEventListener("click", () => zoomTo(stream));
  const shown = [
    element("h2", {}, `Stream #${stream.id}: ${requestLine(stream)}`), whole,
    facts([
      ["opened", `at ${showAt(stream.opened)}${{ local: ", by us", remote: ", by the peer" }[stream.by] ?? ""}`],
      ["pushed on", stream.pushed_on && `stream #${stream.pushed_on}`],
      ["for", [stream.scheme, stream.authority].filter(Boolean).join("://")],
      ["protocol", stream.protocol],
      ["request whole", after(stream.request_end)],
      ["first byte", after(stream.first_byte)],
      ["status", stream.status],
      ["response whole", after(stream.response_end)],
      ["end", `${ending(stream)}${stream.closed === undefined ? "" : `, ${after(stream.closed)}`}`],
      ["sent", showBytes(stream.sent)],
      ["received", showBytes(stream.received)],
    ]),
  ];
  shown.push(...stallList(stream.stalls));
  for (const [name, title] of [["request", "Request"], ["response", "Response"], ["request_trailers", "Trailers of the request"], ["response_trailers", "Trailers of the response"]]) {
    const number = stream.heads?.[name];
    if (number !== undefined) shown.push(element("h3", {}, title), fieldList(data.heads[number]));
  }
  shown.push(...markList(stream.marks));
  return shown;
}

function sessionDetails() {
  const end = session.ending;
  const by = { local: "by us", library: "by the library", remote: "by the peer" };
  return [
    element("h2", {}, `Session ${clean(session.name ?? "")}`),
    facts([
      ["role", session.role],
      ["version", session.version],
      ["label", session.label],
      ["peer", session.peer],
      ["local", session.local],
      ["ALPN", session.alpn],
      ["TLS", session.tls],
      ["server name", session.server_name],
      ["end", end ? [`after ${showAt(end.at)}`, by[end.by], end.clean ? "in good order" : "not in good order", end.error_code, end.reason].filter(Boolean).join(", ") : "open when the trace ended"],
      ["sent", end?.bytes_sent !== undefined ? showBytes(end.bytes_sent) : undefined],
      ["received", end?.bytes_received !== undefined ? showBytes(end.bytes_received) : undefined],
    ]),
    ...stallList(session.stalls), ...markList(session.marks),
  ];
}

function stallList(stalls) {
  if (!stalls?.length) return [];
  return [element("h3", {}, "Stalled"), element("ul", { class: "stalls" }, ...stalls.map(stall => {
    const times = everyNth(stall.spans, 4, 2);
    const number = everyNth(stall.spans, 4, 3).reduce((a, b) => a + b, 0);
    const total = times.reduce((a, b) => a + b, 0);
    return element("li", {}, `${showTime(total)}${number > 1 ? `, ${number} times` : ""}: ${showLimit(stall)}`);
  }))];
}

function markList(marks) {
  if (!marks?.length) return [];
  const items = marks.slice(0, MAX_LISTED).map(([time, , text]) => element("li", {}, `${showAt(time)}: ${clean(text)}`));
  if (marks.length > MAX_LISTED) items.push(element("li", { class: "note" }, `and ${marks.length - MAX_LISTED} more`));
  return [element("h3", {}, "Marks"), element("ul", { class: "marks" }, ...items)];
}

function fieldList(fields) {
  return element("dl", { class: "fields" }, ...fields.flatMap(([name, value, note]) => [
    element("dt", {}, clean(name)),
    element("dd", {}, value === null ? "" : clean(value), ...(note ? [" ", element("span", { class: "note" }, `(${clean(note)})`)] : [])),
  ]));
}

// ---- Drawing ----

const ROW = 22, AXIS = 22, LANE = 22; // heights: of a stream, of the time axis, of the session's own row
const GRAPH_LANE = 62;
const RIGHT = 10;
const colours = {};

/** The width of the column with the names of the streams. */
const gutter = width => Math.min(300, Math.max(120, width * 0.3));

/** A canvas for this many CSS pixels; returns its context, cleared. */
function prepare(canvas, width, height) {
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = `${height}px`;
  const paint = canvas.getContext("2d");
  paint.scale(scale, scale);
  paint.font = "12px system-ui, sans-serif";
  paint.textBaseline = "middle";
  return paint;
}

let drawing = false;
/** Draws before the next picture of the browser, once, however often it is asked for. */
function requestDraw() {
  byId("status").textContent = `${rows.length} of ${count(session.streams.length, "stream")}, ${showTime(from)} to ${showTime(to)}`;
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(draw);
}

function draw() {
  drawing = false;
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ground", "panel", "line", "text", "quiet", "waiting", "answering", "sent", "received", "stall", "good", "odd", "bad", "mark", "chosen"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  drawWaterfall();
  drawGraph();
  writeAddress();
}

/** What turns times into places on a canvas, and back. */
function scaleOf(width) {
  const left = gutter(width), plot = width - left - RIGHT;
  return { left, plot, x: time => left + (time - from) / (to - from) * plot, time: x => from + (x - left) / plot * (to - from) };
}

function scrollToRow(index) {
  const box = byId("waterfall"), room = box.clientHeight - AXIS - LANE;
  if (index * ROW < box.scrollTop) box.scrollTop = index * ROW;
  if ((index + 1) * ROW > box.scrollTop + room) box.scrollTop = (index + 1) * ROW - room;
}

function drawWaterfall() {
  const box = byId("waterfall"), canvas = box.querySelector("canvas");
  const whole = AXIS + LANE + rows.length * ROW + 4;
  byId("rows").style.height = `${whole}px`;
  const width = box.clientWidth, height = Math.min(box.clientHeight, whole);
  const paint = prepare(canvas, width, height), scale = scaleOf(width);
  const top = AXIS + LANE;
  for (let index = Math.floor(box.scrollTop / ROW); index < rows.length; index++) {
    const y = top + index * ROW - box.scrollTop;
    if (y > height) break;
    drawRow(paint, scale, rows[index], y, width);
  }
  if (!rows.length) text(paint, session.streams.length ? "no stream fits the search" : "no streams", scale.left + 8, top + 12, colours.quiet);
  // Over the rows that are scrolled away.
  paint.fillStyle = colours.ground;
  paint.fillRect(0, 0, width, top);
  drawAxis(paint, scale, height);
  text(paint, "session", 8, AXIS + LANE / 2, colours.quiet);
  within(paint, scale, height, () => {
    for (const stall of session.stalls) drawStalls(paint, scale, stall, AXIS + 2, LANE - 4);
    for (const [time, kind] of session.marks) {
      const x = scale.x(time);
      if (kind === "goaway") dashed(paint, x, AXIS, height, colours.mark);
      else diamond(paint, x, AXIS + LANE / 2, kind === "reset" ? colours.bad : colours.mark);
    }
    if (session.ending) {
      const x = scale.x(session.ending.at);
      line(paint, x, AXIS, x, height, session.ending.clean ? colours.quiet : colours.bad);
    }
  });
  line(paint, 0, top - 0.5, width, top - 0.5, colours.line);
}

/** Draws only beside the names, where time is. */
function within(paint, scale, height, body) {
  paint.save();
  paint.beginPath();
  paint.rect(scale.left, 0, scale.plot + RIGHT, height);
  paint.clip();
  body();
  paint.restore();
}

function drawRow(paint, scale, stream, y, width) {
  if (stream === chosen) {
    paint.fillStyle = colours.chosen;
    paint.fillRect(0, y, width, ROW);
  }
  const middle = y + ROW / 2;
  const state = stream.end_how === "reset" ? "RST" : stream.end_how === "cut" || stream.end_how === "session" ? "cut" : !stream.end_how ? "open" : "";
  const word = [stream.status, state].filter(Boolean).join(" ");
  const room = paint.measureText(word).width;
  text(paint, fitText(paint, `#${stream.id} ${requestLine(stream)}`, scale.left - room - 24), 8, middle, colours.text);
  text(paint, word, scale.left - room - 8, middle, colours[statusClass(stream) ?? "quiet"]);
  within(paint, scale, y + ROW, () => {
    const x0 = scale.x(stream.opened), x1 = scale.x(lastTime(stream));
    const first = stream.first_byte === undefined ? x1 : scale.x(stream.first_byte);
    bar(paint, x0, first, y + 4, ROW - 8, colours.waiting);
    bar(paint, first, Math.max(scale.x(stream.response_end ?? lastTime(stream)), first), y + 4, ROW - 8, colours.answering);
    bar(paint, x0, x1, middle - 0.5, 1, colours.answering);
    for (const stall of stream.stalls ?? []) drawStalls(paint, scale, stall, y + 2, ROW - 4);
    drawTicks(paint, scale, stream.ticks.sent, y + 4, ROW / 2 - 4, colours.sent);
    drawTicks(paint, scale, stream.ticks.received, middle, ROW / 2 - 4, colours.received);
    if (stream.first_byte !== undefined) bar(paint, first - 1, first + 1, y + 2, ROW - 4, colours.text);
    for (const [time, kind] of stream.marks ?? []) {
      if (kind !== "reset") diamond(paint, scale.x(time), middle, colours.mark);
    }
    if (isReset(stream)) cross(paint, x1, middle, colours.bad);
    const times = [showTime(duration(stream)), stream.first_byte !== undefined && `first byte ${showTime(stream.first_byte - stream.opened)}`, !stream.end_how && "open"]
      .filter(Boolean).join(", ");
    const long = paint.measureText(times).width;
    const right = scale.left + scale.plot;
    // Right of the bar; where there is no room, left of it; where the bar fills all, nowhere.
    const place = x1 + 8 + long <= right + RIGHT ? x1 + 8 : x0 - 8 - long;
    if (place >= scale.left) text(paint, times, place, middle, colours.quiet);
  });
}

function drawAxis(paint, scale, height) {
  const step = niceStep((to - from) / Math.max(scale.plot / 90, 1));
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
    const x = scale.x(time);
    line(paint, x, 0, x, height, colours.line, 0.5);
    if (height > 0) text(paint, showTick(time, step), x + 3, AXIS / 2, colours.quiet);
  }
  line(paint, scale.left - 0.5, 0, scale.left - 0.5, height, colours.line);
}

/** 1, 2 or 5 times a power of ten, no less than asked for. */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return power * [1, 2, 5, 10].find(times => times * power >= least);
}

/** A time on the axis, with as many digits as the distance of the ticks needs. */
function showTick(time, step) {
  const [unit, size] = to >= 1_000_000 ? ["s", 1_000_000] : to >= 1000 ? ["ms", 1000] : ["µs", 1];
  return `${(time / size).toFixed(Math.max(0, Math.ceil(-Math.log10(step / size) - 1e-9)))} ${unit}`;
}

function drawTicks(paint, scale, ticks, y, height, colour) {
  if (!ticks) return;
  paint.fillStyle = colour;
  let last = -Infinity; // several ticks on one pixel are one
  for (let i = 0; i < ticks.length; i += 4) {
    const x0 = scale.x(ticks[i]), x1 = Math.max(scale.x(ticks[i + 1]), x0 + 1);
    if (x1 < scale.left || x0 > scale.left + scale.plot + RIGHT || x1 - last < 0.5) continue;
    paint.fillRect(x0, y, x1 - x0, height);
    last = x1;
  }
}

function drawStalls(paint, scale, stall, y, height) {
  for (let i = 0; i < stall.spans.length; i += 4) {
    const x0 = scale.x(stall.spans[i]), x1 = Math.max(scale.x(stall.spans[i + 1]), x0 + 1);
    if (x1 < scale.left || x0 > scale.left + scale.plot + RIGHT) continue;
    paint.globalAlpha = 0.25;
    bar(paint, x0, x1, y, height, colours.stall);
    paint.globalAlpha = 1;
    bar(paint, x0, x1, y + height - 2, 2, colours.stall);
  }
}

/** The lanes of the graph: each side of the session, and of the chosen stream, or of the one that stalled longest. */
function graphLanes() {
  const stream = chosen ?? rows.reduce((best, row) => row.stalled > (best?.stalled ?? -1) ? row : best, null);
  const lanes = [];
  for (const [name, owner] of [["session", session], [stream && `#${stream.id}`, stream]]) {
    for (const [side, about] of [["send", "we may send"], ["receive", "the peer may send"]]) {
      const levels = owner?.windows?.[side];
      const stalls = (owner?.stalls ?? []).filter(stall => stall.side === side);
      if (levels || stalls.length) lanes.push({ name, about, side, levels: levels ?? [], stalls, end: owner.closed ?? session.length });
    }
  }
  return lanes;
}

function drawGraph() {
  const box = byId("graph"), canvas = box.querySelector("canvas");
  const lanes = graphLanes();
  const width = box.clientWidth, height = AXIS + Math.max(lanes.length, 0.5) * GRAPH_LANE;
  const paint = prepare(canvas, width, height), scale = scaleOf(width);
  drawAxis(paint, scale, height);
  if (!lanes.length) text(paint, session.version === "HTTP/1.1" ? "HTTP/1.1 has no windows" : "no windows in this trace", scale.left + 8, AXIS + 16, colours.quiet);
  lanes.forEach((lane, index) => drawLane(paint, scale, lane, AXIS + index * GRAPH_LANE, width));
}

function drawLane(paint, scale, lane, y, width) {
  const { levels } = lane;
  const bottom = y + GRAPH_LANE - 8, height = GRAPH_LANE - 18;
  const lowest = Math.min(lowestOf(levels), 0); // a window may be negative
  let highest = 1;
  for (let i = 3; i < levels.length; i += 5) highest = Math.max(highest, levels[i]);
  const at = level => bottom - (level - lowest) / (highest - lowest) * height;
  const colour = lane.side === "send" ? colours.sent : colours.received;
  line(paint, 0, y + 0.5, width, y + 0.5, colours.line);
  text(paint, `${lane.name}: ${lane.about}`, 8, y + 16, colour);
  if (levels.length) text(paint, `lowest ${showBytes(lowestOf(levels))}`, 8, y + 34, colours.quiet);
  if (levels.length) {
    const label = showBytes(highest);
    text(paint, label, scale.left - paint.measureText(label).width - 6, at(highest) + 3, colours.quiet);
    text(paint, "0", scale.left - 14, at(0), colours.quiet);
    line(paint, scale.left, at(0), width, at(0), colours.quiet, 0.5);
  }
  within(paint, scale, y + GRAPH_LANE, () => {
    for (const stall of lane.stalls) {
      drawStalls(paint, scale, stall, y + 6, bottom - y - 5);
      labelStall(paint, scale, stall, y + 16);
    }
    paint.strokeStyle = paint.fillStyle = colour;
    paint.lineWidth = 1.5;
    paint.beginPath();
    for (let i = firstVisible(levels); i < levels.length; i += 5) {
      const [start, stop, low, high, level] = levels.slice(i, i + 5);
      if (start > to) break;
      const x = scale.x(start), next = scale.x(Math.min(levels[i + 5] ?? lane.end, to));
      // A level that many changes went through is a band from the lowest to the highest.
      if (low < high) {
        paint.globalAlpha = 0.35;
        paint.fillRect(x, at(high), Math.max(scale.x(stop) - x, 1), at(low) - at(high));
        paint.globalAlpha = 1;
      }
      const held = Math.max(scale.x(stop), x);
      paint.moveTo(held, at(i > 0 ? levels[i - 1] : level));
      paint.lineTo(held, at(level));
      paint.lineTo(Math.max(next, held), at(level));
    }
    paint.stroke();
  });
}

function lowestOf(levels) {
  let lowest = Infinity;
  for (let i = 2; i < levels.length; i += 5) lowest = Math.min(lowest, levels[i]);
  return lowest;
}

/** Says in a long stall why it is one. */
function labelStall(paint, scale, stall, y) {
  for (let i = 0; i < stall.spans.length; i += 4) {
    const x0 = Math.max(scale.x(stall.spans[i]), scale.left), x1 = Math.min(scale.x(stall.spans[i + 1]), scale.left + scale.plot);
    if (x1 - x0 < 60) continue;
    text(paint, fitText(paint, `${showTime(stall.spans[i + 1] - stall.spans[i])}: ${showLimit(stall)}`, x1 - x0 - 12), x0 + 6, y, colours.text);
  }
}

/** The place in `levels` of the last point before what is shown; points are in order, so it is found by halving. */
function firstVisible(levels, time = from) {
  let low = 0, high = levels.length / 5;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (levels[middle * 5] <= time) low = middle + 1;
    else high = middle;
  }
  return Math.max(low - 1, 0) * 5;
}

function levelAt(levels, time) {
  const i = firstVisible(levels, time);
  return levels[i] <= time ? levels[i + 4] : null;
}

function text(paint, words, x, y, colour) {
  paint.fillStyle = colour;
  paint.fillText(words, x, y);
}

/** Cuts text to a width. */
function fitText(paint, words, width) {
  if (paint.measureText(words).width <= width) return words;
  let low = 0, high = Math.min(words.length, 400);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (paint.measureText(`${words.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low ? `${words.slice(0, low)}…` : "";
}

function bar(paint, x0, x1, y, height, colour) {
  paint.fillStyle = colour;
  paint.fillRect(x0, y, Math.max(x1 - x0, 1), height);
}

function line(paint, x0, y0, x1, y1, colour, width = 1) {
  paint.strokeStyle = colour;
  paint.lineWidth = width;
  paint.beginPath();
  paint.moveTo(x0, y0);
  paint.lineTo(x1, y1);
  paint.stroke();
}

function dashed(paint, x, y0, y1, colour) {
  paint.setLineDash([4, 3]);
  line(paint, x, y0, x, y1, colour, 1.5);
  paint.setLineDash([]);
}

function diamond(paint, x, y, colour) {
  paint.fillStyle = colour;
  paint.beginPath();
  for (const [dx, dy] of [[0, -5], [4, 0], [0, 5], [-4, 0]]) paint.lineTo(x + dx, y + dy);
  paint.fill();
}

function cross(paint, x, y, colour) {
  line(paint, x - 4, y - 5, x + 4, y + 5, colour, 2);
  line(paint, x - 4, y + 5, x + 4, y - 5, colour, 2);
}

// ---- What lies under the mouse ----

function showTip(words, event) {
  const tip = byId("tip");
  tip.hidden = !words;
  if (!words) return;
  tip.textContent = words;
  tip.style.left = `${Math.max(0, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.max(0, Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8))}px`;
}

/** The stream under the mouse: `undefined` above or below all of them. */
function streamAt(event) {
  const box = byId("waterfall"), y = event.clientY - box.getBoundingClientRect().top - box.clientTop;
  return y < AXIS + LANE ? undefined : rows[Math.floor((y - AXIS - LANE + box.scrollTop) / ROW)];
}

function tipOfWaterfall(event) {
  const box = byId("waterfall"), place = box.getBoundingClientRect();
  const scale = scaleOf(box.clientWidth), time = scale.time(event.clientX - place.left - box.clientLeft);
  const near = (to - from) / scale.plot * 5;
  const stream = streamAt(event);
  if (!stream && event.clientY - place.top > AXIS + LANE) return "";
  const owner = stream ?? session;
  const said = stream ? [`#${stream.id} ${requestLine(stream)}`, [stream.status, ending(stream)].filter(Boolean).join(", ")] : ["session"];
  if (event.clientX - place.left > scale.left) {
    said.push(`at ${showAt(Math.round(time))}${stream ? `, ${showTime(time - stream.opened)} after it was opened` : ""}`);
    for (const stall of owner.stalls ?? []) {
      for (let i = 0; i < stall.spans.length; i += 4) {
        if (stall.spans[i] - near <= time && time <= stall.spans[i + 1] + near) {
          said.push(`stalled ${showTime(stall.spans[i + 2])}: ${showLimit(stall)}`);
          break;
        }
      }
    }
    for (const [direction, ticks] of Object.entries(stream?.ticks ?? {})) {
      const found = nearest(ticks, time, near);
      if (found >= 0) said.push(`DATA ${direction}: ${showBytes(ticks[found + 2])}${ticks[found + 3] > 1 ? ` in ${ticks[found + 3]} pieces` : ""} at ${showAt(ticks[found])}`);
    }
    for (const mark of (owner.marks ?? []).filter(mark => Math.abs(mark[0] - time) <= near).slice(0, 5)) said.push(`${showAt(mark[0])}: ${clean(mark[2])}`);
  }
  return said.join("\n");
}

/** The place in `ticks` of the one nearest to a time, or -1. */
function nearest(ticks, time, within) {
  let best = -1, least = within;
  for (let i = 0; i < ticks.length; i += 4) {
    const distance = Math.max(ticks[i] - time, time - ticks[i + 1], 0);
    if (distance <= least) { best = i; least = distance; }
  }
  return best;
}

function tipOfGraph(event) {
  const box = byId("graph"), place = box.getBoundingClientRect();
  const time = scaleOf(box.clientWidth).time(event.clientX - place.left - box.clientLeft);
  if (event.clientX - place.left < gutter(box.clientWidth)) return "";
  const said = [`at ${showAt(Math.round(time))}`];
  for (const lane of graphLanes()) {
    const level = lane.levels.length ? levelAt(lane.levels, time) : null;
    if (level !== null) said.push(`${lane.name}: ${lane.about} ${showBytes(level)}`);
    for (const stall of lane.stalls) {
      for (let i = 0; i < stall.spans.length; i += 4) {
        if (stall.spans[i] <= time && time <= stall.spans[i + 1]) said.push(`  stalled: ${showLimit(stall)}`);
      }
    }
  }
  return said.join("\n");
}

// ---- Keys and mouse ----

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const index = chosen ? rows.indexOf(chosen) : -1;
  const page = Math.max(1, Math.floor(byId("waterfall").clientHeight / ROW) - 3);
  const go = to => { if (rows.length) choose(rows[Math.min(Math.max(to, 0), rows.length - 1)]); };
  const does = {
    ArrowDown: () => go(index + 1), ArrowUp: () => go(index - 1),
    PageDown: () => go(index + page), PageUp: () => go(index - page),
    Home: () => go(0), End: () => go(rows.length - 1),
    ArrowLeft: () => pan(-0.1), ArrowRight: () => pan(0.1),
    "+": () => zoom(1 / 1.5), "=": () => zoom(1 / 1.5), "-": () => zoom(1.5), "0": fit,
    Enter: () => { if (chosen) zoomTo(chosen); },
    Escape: () => choose(null),
  }[event.key];
  if (!does) return;
  does();
  event.preventDefault();
}

function onWheel(event) {
  const box = event.currentTarget;
  if (event.ctrlKey || event.metaKey) {
    const scale = scaleOf(box.clientWidth);
    zoom(Math.exp(Math.max(-0.5, Math.min(0.5, event.deltaY / 200))), scale.time(event.clientX - box.getBoundingClientRect().left));
  } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    pan((event.deltaX || event.deltaY) / scaleOf(box.clientWidth).plot);
  } else {
    return; // scrolls
  }
  event.preventDefault();
}

/** Dragging moves through time; a press that moves nothing is a click. */
function enableDragging(box, tipOf) {
  let pressed = null;
  box.addEventListener("pointerdown", event => {
    if (event.button === 0 && event.offsetX < box.clientWidth) pressed = { x: event.clientX, from, to, moved: false };
  });
  box.addEventListener("pointermove", event => {
    if (!pressed) return showTip(tipOf(event), event);
    const distance = event.clientX - pressed.x;
    if (!pressed.moved && Math.abs(distance) < 4) return;
    if (!pressed.moved) box.setPointerCapture(event.pointerId);
    pressed.moved = true;
    showTip("", event);
    const shift = distance / scaleOf(box.clientWidth).plot * (pressed.to - pressed.from);
    show(pressed.from - shift, pressed.to - shift);
  });
  const release = event => {
    if (pressed && !pressed.moved && event.type === "pointerup" && box.id === "waterfall") choose(streamAt(event) ?? null, false);
    pressed = null;
  };
  for (const kind of ["pointerup", "pointercancel"]) box.addEventListener(kind, release);
  box.addEventListener("pointerleave", event => showTip("", event));
  box.addEventListener("wheel", onWheel, { passive: false });
  box.addEventListener("keydown", onKey);
}

function start() {
  byId("title").textContent = clean(data.title ?? data.name);
  byId("about").textContent = clean([data.title && data.name, data.made_by, data.started && `begun ${data.started}`].filter(Boolean).join(" · "));
  data.notes.forEach(addNote);
  data.sessions.forEach((one, number) => {
    const about = [one.name, one.role, one.version, one.label ?? one.peer].filter(Boolean).join(" ");
    byId("session").append(element("option", { value: number }, clean(`${about}: ${count(one.streams.length, "stream")}, ${showTime(one.length)}`).slice(0, 200)));
  });
  byId("session").addEventListener("change", () => { chooseSession(Number(byId("session").value)); applySearch(); });
  for (const id of ["search", "order", "trouble"]) byId(id).addEventListener("input", applySearch);
  byId("zoom-in").addEventListener("click", () => zoom(1 / 1.5));
  byId("zoom-out").addEventListener("click", () => zoom(1.5));
  byId("fit").addEventListener("click", fit);
  enableDragging(byId("waterfall"), tipOfWaterfall);
  enableDragging(byId("graph"), tipOfGraph);
  byId("waterfall").addEventListener("dblclick", event => { const stream = streamAt(event); if (stream) zoomTo(stream); });
  byId("waterfall").addEventListener("scroll", requestDraw);
  addEventListener("keydown", event => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName)) {
      byId("search").focus();
      event.preventDefault();
    }
  });
  addEventListener("resize", requestDraw);
  addEventListener("hashchange", readAddress);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", requestDraw);
  readAddress();
}

start();
