// A browser client of pushserver, as an ES module. Plain EventSource is enough for
// everything but this: all tabs of an origin share one stream, tokens are renewed,
// and where streaming is impossible the events are polled for.
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
// An event's detail is the CloudEvent, with its position; detail.replayed says that
// it is the current state and no change. A reset clears what is held.

const held = 10_000; // states that are kept for further tabs
const patience = 10_000; // ms for a stream to begin, before events are polled for

export class SharedStream extends EventTarget {
  #options;
  #channel;
  #states = new Map(); // the newest event by type and subject, for tabs that come later
  #position = ""; // that all tabs have reached
  #close = new AbortController();
  #source;

  // token: returns a browser token. types: of events, without patterns. url: of the
  // server. subject, filter: narrow the stream further.
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

  // close ends the stream in this tab. Another tab goes on.
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
    if (!this.#source) return; // the tab that leads answers
    for (const event of this.#states.values()) this.#channel.postMessage({ kind: "event", event: { ...event, replayed: true } });
    this.#channel.postMessage({ kind: "state", state: "open", position: this.#position });
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
    if (event.replayed && known && known.time >= event.time) return; // a change came first
    this.#states.delete(key);
    this.#states.set(key, event);
    if (this.#states.size > held) this.#states.delete(this.#states.keys().next().value);
    this.dispatchEvent(new CustomEvent(event.type, { detail: event }));
  }

  // lead keeps the one stream until this tab ends or closes.
  async #lead() {
    const { signal } = this.#close;
    for (let wait = 1000; !signal.aborted; wait = Math.min(wait * 2, 30_000)) {
      try {
        const token = await this.#options.token();
        const streams = "EventSource" in globalThis && (await this.#stream(token));
        if (!streams) await this.#poll(token);
        wait = 1000;
      } catch {
        this.#tell({ kind: "state", state: "lost" });
      }
      if (!signal.aborted) await new Promise((done) => setTimeout(done, wait / 2 + (Math.random() * wait) / 2));
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

  // stream follows an EventSource until it needs another token. It resolves to false
  // if no stream begins, as behind a proxy that keeps responses back.
  #stream(token) {
    const query = this.#query(token);
    query.set("snapshot", "1");
    if (this.#position) query.set("last_event_id", this.#position);
    const source = (this.#source = new EventSource(`${this.#options.url}/v1/stream?${query}`));
    return new Promise((resolve) => {
      const end = (began) => { clearTimeout(late); source.close(); resolve(began); };
      const late = setTimeout(() => end(false), patience);
      this.#close.signal.addEventListener("abort", () => end(true));
      source.onerror = () => {
        this.#tell({ kind: "state", state: "lost" });
        if (source.readyState === EventSource.CLOSED) end(true);
      };
      const on = (name, take) => source.addEventListener(name, (e) => {
        clearTimeout(late);
        take(e);
        if (e.lastEventId) this.#tell({ kind: "position", position: e.lastEventId });
      });
      for (const type of this.#options.types) {
        on(type, (e) => this.#tell({ kind: "event", event: { ...JSON.parse(e.data), position: e.lastEventId, replayed: !e.lastEventId }, position: e.lastEventId }));
      }
      on("stream.open", () => this.#tell({ kind: "state", state: "open" }));
      on("stream.live", () => {});
      on("stream.cursor", () => {});
      on("stream.reset", () => this.#tell({ kind: "reset" }));
      on("stream.expiring", () => end(true));
      on("stream.problem", () => end(true)); // the token has ended, or the server is busy: try another
      on("stream.goodbye", (e) => { if (JSON.parse(e.data).reconnect === false) end(true); });
    });
  }

  // poll asks for events until the token has ended.
  async #poll(token) {
    this.#source = { close() {} };
    for (;;) {
      const query = this.#query();
      query.set("wait", "25");
      if (this.#position) query.set("after", this.#position);
      else query.set("since", "1s");
      const answer = await fetch(`${this.#options.url}/v1/events?${query}`, { headers: { Authorization: `Bearer ${token}` }, signal: this.#close.signal });
      const page = await answer.json();
      if (answer.status === 410) this.#tell({ kind: "reset", position: page.cursor });
      else if (!answer.ok) throw new Error(page.detail);
      else {
        this.#tell({ kind: "state", state: "open", position: page.cursor });
        for (const { id, data } of page.events) this.#tell({ kind: "event", event: { ...data, position: id, replayed: false }, position: id });
        this.#tell({ kind: "position", position: page.cursor });
      }
    }
  }
}
