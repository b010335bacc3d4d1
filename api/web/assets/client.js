// A browser client of pushserver, as an ES module. It adds to a plain EventSource:
// all tabs of an origin share one stream, tokens are renewed, and if streaming is
// impossible the client polls for events.
//
//   import { SharedStream } from "/client.js";
//   const stream = new SharedStream({
//     token: async () => (await (await fetch("/my-backend/token")).json()).token,
//     types: ["ticket.availability"],
//   });
//   stream.addEventListener("ticket.availability", (e) => show(e.detail.data.available));
//   stream.addEventListener("reset", () => forget());
//   stream.addEventListener("state", (e) => console.log(e.detail)); // "open", "lost", "ended"
//
// An event's detail is the CloudEvent, with its position. detail.replayed marks
// current state, as opposed to a change. A reset clears the held state.

const held = 10_000; // states kept for later tabs
const patience = 10_000; // ms that a stream may take to begin, before polling

export class SharedStream extends EventTarget {
  #options;
  #channel;
  #states = new Map(); // the newest event by type and subject, for tabs that come later
  #position = ""; // the position that all tabs have reached
  #close = new AbortController();
  #leads = false;
  #source;

  // token returns a browser token. types are event types, without patterns. url is
  // the server's. subject and filter narrow the stream further.
  constructor({ token, types, url = location.origin, subject, filter }) {
    super();
    this.#options = { token, types, url, subject, filter };
    const name = `pushserver ${JSON.stringify([url, types, subject, filter])}`;
    if (!("locks" in navigator) || !("BroadcastChannel" in globalThis)) {
      this.#lead();
      return;
    }
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#channel.postMessage({ kind: "hello" });
    navigator.locks.request(name, { signal: this.#close.signal }, () => this.#lead()).catch(() => {}); // closed before its turn
  }

  // close ends the stream in this tab. Other tabs continue.
  close() {
    this.#close.abort();
    this.#source?.close();
    this.#channel?.close();
  }

  #tell(message) {
    this.#take(message);
    if (!this.#close.signal.aborted) this.#channel?.postMessage(message);
  }

  #hear(message) {
    if (message.kind !== "hello") return this.#take(message);
    if (this.#leads) this.#share();
  }

  // share sends the current state to a later tab.
  #share() {
    for (const event of this.#states.values()) this.#channel?.postMessage({ kind: "event", event: { ...event, replayed: true } });
    this.#channel?.postMessage({ kind: "position", position: this.#position });
    if (this.#source) this.#channel?.postMessage({ kind: "state", state: "open" });
  }

  #take({ kind, event, state, position }) {
    if (position) this.#position = position;
    if (kind === "reset") {
      this.#states.clear();
      this.dispatchEvent(new CustomEvent("reset"));
    }
    if (kind === "state") this.dispatchEvent(new CustomEvent("state", { detail: state }));
    if (kind !== "event") return;
    const key = `${event.type} ${event.subject}`;
    const known = this.#states.get(key);
    if (event.replayed && known && known.time >= event.time) return; // a newer change arrived first
    this.#states.delete(key);
    this.#states.set(key, event);
    if (this.#states.size > held) this.#states.delete(this.#states.keys().next().value);
    this.dispatchEvent(new CustomEvent(event.type, { detail: event }));
  }

  // lead holds the shared stream until this tab closes.
  async #lead() {
    const { signal } = this.#close;
    this.#leads = true;
    this.#share();
    for (let failures = 0, refused = 0; !signal.aborted; ) {
      let end = { began: false };
      try {
        const token = await this.#options.token();
        if (signal.aborted) return;
        end = "EventSource" in globalThis ? await this.#stream(token) : end;
        if (!end.began && !end.problem && !signal.aborted) end = await this.#poll(token);
      } catch {
        this.#tell({ kind: "state", state: "lost" });
      }
      failures = end.began ? 0 : failures + 1;
      // A new token may resolve a refusal, once.
      refused = end.final && !end.began ? refused + 1 : 0;
      if (end.final === "for good" || refused > 1) {
        this.#tell({ kind: "state", state: "ended" });
        return this.close();
      }
      const wait = Math.max(end.retry ?? 0, Math.min(1000 * 2 ** failures, 30_000) * (0.5 + Math.random() / 2));
      await new Promise((done) => {
        const timer = setTimeout(done, end.final ? 1000 : wait);
        signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
      });
    }
  }

  #query(token) {
    const { types, subject, filter } = this.#options;
    const query = new URLSearchParams({ types: types.join(",") });
    if (subject) query.set("subject", subject);
    if (filter) query.set("filter", filter);
    if (token) query.set("access_token", token);
    return query;
  }

  // stream follows an EventSource until it needs another token. The result says
  // whether the stream began, when to reconnect, and whether that is pointless with
  // this token or permanently.
  #stream(token) {
    const query = this.#query(token);
    query.set("snapshot", "1");
    if (this.#position) query.set("last_event_id", this.#position);
    const source = (this.#source = new EventSource(`${this.#options.url}/v1/stream?${query}`));
    return new Promise((resolve) => {
      let began = false;
      let last = this.#position; // lastEventId repeats the previous id: an event without its own id is a state
      const end = (how = {}) => {
        clearTimeout(late);
        source.close();
        this.#close.signal.removeEventListener("abort", closed);
        resolve({ began, ...how });
      };
      const closed = () => end();
      this.#close.signal.addEventListener("abort", closed);
      const late = setTimeout(end, patience);
      source.onerror = () => {
        this.#tell({ kind: "state", state: "lost" });
        if (source.readyState === EventSource.CLOSED) end();
      };
      const on = (name, take) => source.addEventListener(name, (e) => {
        const position = e.lastEventId === last ? "" : e.lastEventId;
        last = e.lastEventId || last;
        take(e.data ? JSON.parse(e.data) : {}, position);
        if (position) this.#tell({ kind: "position", position });
      });
      for (const type of this.#options.types) {
        on(type, (event, position) => this.#tell({ kind: "event", event: { ...event, position, replayed: !position } }));
      }
      on("stream.open", () => {
        began = true;
        clearTimeout(late);
        this.#tell({ kind: "state", state: "open" });
      });
      on("stream.live", () => {});
      on("stream.cursor", () => {});
      on("stream.reset", () => this.#tell({ kind: "reset" }));
      on("stream.expiring", () => end());
      on("stream.problem", (p) => end({ problem: true, retry: p.permanent ? 0 : p.retry_ms, final: p.permanent ? "with this token" : "" }));
      on("stream.goodbye", (g) => {
        if (g.reconnect !== false) return; // EventSource reconnects by itself
        end({ final: g.reason === "session_ended" ? "with this token" : "for good" });
      });
    });
  }

  // poll requests events until the token expires.
  async #poll(token) {
    const { signal } = this.#close;
    this.#source = { close() {} };
    for (let began = false; ; began = true) {
      const query = this.#query();
      query.set("wait", "25");
      if (this.#position) query.set("after", this.#position);
      else query.set("since", "1s");
      const answer = await fetch(`${this.#options.url}/v1/events?${query}`, { headers: { Authorization: `Bearer ${token}` }, signal });
      const page = await answer.json();
      if (answer.status === 410) this.#tell({ kind: "reset", position: page.cursor });
      else if (!answer.ok) {
        const passing = answer.status === 429 || answer.status >= 500;
        return { began, retry: Number(answer.headers.get("Retry-After") ?? 0) * 1000, final: passing ? "" : "with this token" };
      } else {
        if (!began) this.#tell({ kind: "state", state: "open" });
        for (const { id, data } of page.events) this.#tell({ kind: "event", event: { ...data, position: id, replayed: false } });
        this.#tell({ kind: "position", position: page.cursor });
      }
    }
  }
}
