// Node.js, with the package eventsource.
import { EventSource } from "eventsource";

const key = process.env.PUSHSERVER_KEY;
const stream = new EventSource(process.env.PUSHSERVER_URL + "/v1/stream?types=payment.*", {
  fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${key}` } }),
});
for (const type of ["payment.made", "payment.failed"]) {
  stream.addEventListener(type, (e) => console.log(e.lastEventId, e.type, JSON.parse(e.data).data));
}
stream.addEventListener("stream.reset", (e) => console.log("events may be missing:", e.data));
