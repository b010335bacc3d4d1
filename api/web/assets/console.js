// The console shows live what a key sees. Only this module holds the key.

const $ = (id) => document.getElementById(id);
const most = 500; // shown events
let key = "";
let stream = null; // the controller of the open stream
let paused = false;
let waiting = []; // events that arrived while paused

const make = (name, text, ...classes) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  element.classList.add(...classes);
  return element;
};

const say = (text, bad) => {
  $("said").textContent = text;
  $("said").className = bad ? "bad" : "soft";
};

// A Refusal is a problem document.
class Refusal extends Error {
  constructor(problem, headers) {
    const places = (problem.errors ?? []).map((e) => `${e.pointer ?? e.parameter ?? e.header ?? ""} ${e.detail}`.trim());
    super([`${problem.title}: ${problem.detail}`, ...places].join(" · "));
    this.problem = problem;
    this.wait = Number(headers.get("Retry-After") ?? 0) * 1000;
  }
}

async function ask(method, path, body, signal) {
  const headers = { Authorization: `Bearer ${key}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body), cache: "no-store" });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({ title: `The server answers ${answer.status}`, detail: answer.statusText }));
    throw new Refusal(problem, answer.headers);
  }
  return answer;
}

// The requested feed.
function query() {
  const q = new URLSearchParams();
  for (const name of ["types", "subject", "filter"]) {
    const value = $(name).value.trim();
    if (value) q.set(name, value);
  }
  return q;
}

const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function showCurl() {
  const parts = ["curl -N -G", quote(`${location.origin}/v1/stream`), `-H "Authorization: Bearer $PUSHSERVER_KEY"`];
  for (const [name, value] of query()) parts.push(`--data-urlencode ${quote(`${name}=${value}`)}`);
  if ($("position").value.trim()) parts.push(`-H ${quote(`Last-Event-ID: ${$("position").value.trim()}`)}`);
  $("curl").textContent = parts.join(" \\\n  ");
}

// The key.

$("entry").addEventListener("submit", async (e) => {
  e.preventDefault();
  closeStream();
  key = $("key").value.trim();
  try {
    await showAccount();
    $("key").value = "";
    say("This is what the key may see. Open a stream to watch events arrive.");
  } catch (error) {
    say(error.message, true);
    $("key").select();
  }
});

async function showAccount() {
  const me = await (await ask("GET", "/v1/me")).json();
  const facts = {
    key: me.key.name ? `${me.key.id} (${me.key.name})` : me.key.id,
    role: me.role,
    merchant: me.merchant,
    mode: me.livemode === undefined ? undefined : me.livemode ? "live" : "test",
    may: me.scopes.join(", "),
    types: me.sees?.types?.join(", ") ?? (me.sees && "all"),
    subjects: me.sees?.subjects?.join(", ") ?? (me.sees && "all"),
    filter: me.sees?.filter,
    until: me.key.expires_at,
  };
  $("facts").replaceChildren(...Object.entries(facts).filter(([, value]) => value).flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  $("quotas").replaceChildren(...Object.entries(me.limits).map(([name, limit]) => {
    const row = make("tr");
    const meter = make("meter");
    meter.max = limit.quota;
    meter.low = limit.quota / 10;
    meter.value = limit.remaining;
    meter.setAttribute("aria-label", `${name}: ${limit.remaining} of ${limit.quota} left`);
    const left = make("td");
    left.append(meter);
    row.append(make("th", name), left, make("td", `${limit.remaining} of ${limit.quota}${limit.window_seconds ? ` in ${limit.window_seconds} s` : ""}`));
    row.firstChild.scope = "row";
    return row;
  }));
  const reads = me.role === "merchant";
  for (const id of ["account", "limits"]) $(id).hidden = false;
  for (const id of ["feed", "streams"]) $(id).hidden = !reads;
  $("test").hidden = !(reads && me.livemode === false);
  if (!reads) return;
  const { event_types: types } = await (await ask("GET", "/v1/event-types")).json();
  $("known-types").replaceChildren(...types.map((t) => Object.assign(make("option"), { value: t.type, label: t.title })));
  $("test-type").replaceChildren(...types.map((t) => Object.assign(make("option", `${t.type} · ${t.title}`), { value: t.type })));
  showCurl();
  await showConnections();
}

// The form is checked while typing: one event is requested with it.

let check = 0;
$("feed").addEventListener("input", () => {
  showCurl();
  clearTimeout(check);
  check = setTimeout(async () => {
    const q = query();
    q.set("limit", "1");
    try {
      await ask("GET", `/v1/events?${q}`);
      $("verdict").textContent = "This can be asked for.";
      $("verdict").className = "good";
    } catch (error) {
      const gone = error.problem?.type === "/problems/history-gone";
      $("verdict").textContent = gone ? "This can be asked for." : error.message;
      $("verdict").className = gone ? "good" : "bad";
    }
  }, 500);
});

// The stream.

$("feed").addEventListener("submit", (e) => {
  e.preventDefault();
  closeStream();
  run($("position").value.trim());
});
$("close").addEventListener("click", closeStream);

function closeStream() {
  stream?.abort();
  stream = null;
  $("close").disabled = $("pause").disabled = true;
  $("state").textContent = "no stream";
}

async function run(position) {
  const mine = (stream = new AbortController());
  $("close").disabled = $("pause").disabled = false;
  let wait = 3000;
  while (stream === mine) {
    $("state").textContent = "connecting…";
    try {
      const q = query();
      if (position) q.set("last_event_id", position);
      const answer = await ask("GET", `/v1/stream?${q}`, undefined, mine.signal);
      $("state").textContent = "open";
      setTimeout(() => showConnections().catch(() => {}), 300);
      for await (const event of read(answer.body)) {
        if (event.retry) wait = event.retry;
        if (event.id) position = event.id;
        if (event.type && arrived(event) === false) return closeStream();
      }
    } catch (error) {
      if (stream !== mine) return;
      if (error instanceof Refusal && error.problem.status < 500 && error.problem.status !== 429) {
        say(error.message, true);
        return closeStream();
      }
      wait = Math.max(wait, error.wait ?? 0);
      say(error instanceof Refusal ? error.message : "The connection was lost.", true);
    }
    if (stream !== mine) return;
    $("state").textContent = `reconnecting in ${Math.round(wait / 1000)} s`;
    await new Promise((done) => setTimeout(done, wait));
  }
}

// read yields the events of a body (HTML Standard, 9.2.6).
async function* read(body) {
  let rest = "";
  let event = {};
  const reader = body.pipeThrough(new TextDecoderStream()).getReader(); // not all browsers iterate
  for (;;) {
    const { value: text, done } = await reader.read();
    if (done) return;
    const lines = (rest + text).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        yield event;
        event = {};
        continue;
      }
      const colon = line.indexOf(":");
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "event") event.type = value;
      if (name === "id") event.id = value;
      if (name === "retry") event.retry = Number(value);
      if (name === "data") event.data = event.data === undefined ? value : `${event.data}\n${value}`;
    }
  }
}

// arrived shows an event. It returns false if the server ended the stream permanently.
function arrived(event) {
  event.at = Date.now();
  if (paused) {
    waiting.push(event);
    $("pause").textContent = `Resume (${waiting.length})`;
  } else {
    show(event);
  }
  if (event.type === "stream.goodbye" && JSON.parse(event.data).reconnect === false) {
    say(`The server ended the stream: ${JSON.parse(event.data).reason}.`, true);
    return false;
  }
}

function show(event) {
  const item = make("li");
  const meta = make("div", undefined, "meta");
  meta.append(make("b", event.type));
  if (event.id) {
    meta.append(make("span", event.id));
    const late = event.at - Number(event.id.split("-")[0]);
    if (!event.type.startsWith("stream.")) meta.append(make("span", `after ${late} ms`));
    const from = make("button", "go on from here");
    from.type = "button";
    from.addEventListener("click", () => {
      $("position").value = event.id;
      showCurl();
      closeStream();
      run(event.id);
    });
    meta.append(from);
  }
  item.append(meta);
  if (event.data) item.append(make("pre", event.data));
  $("events").prepend(item);
  while ($("events").childElementCount > most) $("events").lastChild.remove();
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  $("pause").textContent = paused ? "Go on" : "Pause";
  if (!paused) {
    waiting.forEach(show);
    waiting = [];
  }
});
$("clear").addEventListener("click", () => $("events").replaceChildren());

// Test events and connections.

$("test").addEventListener("submit", async (e) => {
  e.preventDefault();
  try {
    const sent = await (await ask("POST", "/v1/test/events", { type: $("test-type").value })).json();
    say(`Accepted at ${sent.position}.`);
  } catch (error) {
    say(error.message, true);
  }
});

$("refresh").addEventListener("click", () => showAccount().catch((error) => say(error.message, true)));

async function showConnections() {
  const { connections } = await (await ask("GET", "/v1/connections")).json();
  $("connections").replaceChildren(...connections.map((c) => {
    const row = make("tr");
    const action = make("td");
    const end = make("button", "End");
    end.type = "button";
    end.setAttribute("aria-label", `End the stream ${c.id}`);
    end.addEventListener("click", async () => {
      try {
        await ask("DELETE", `/v1/connections/${encodeURIComponent(c.id)}`);
        await showConnections();
      } catch (error) {
        say(error.message, true);
      }
    });
    action.append(end);
    const asked = [c.types?.join(","), c.subject, c.filter].filter(Boolean).join(" · ") || "everything";
    row.append(make("td", new Date(c.since).toLocaleTimeString()), make("td", `${c.address} ${c.user_agent ?? ""}`), make("td", asked), make("td", `${c.lag_ms} ms`), action);
    return row;
  }));
}

showCurl();
