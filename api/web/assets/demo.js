// The demo pages show the current state first, then each change. All windows share
// one stream.

import { SharedStream } from "/client.js";

const $ = (id) => document.getElementById(id);
const say = (id, text) => { if ($(id)) $(id).textContent = text; };

function follow(type, take) {
  const stream = new SharedStream({ types: [type], token: async () => (await (await fetch("/demo/token", { cache: "no-store" })).json()).token });
  stream.addEventListener("state", (e) => say("connection", { open: "connected", lost: "reconnecting…" }[e.detail]));
  stream.addEventListener(type, ({ detail }) => {
    if (!detail.replayed) say("took", `the last change took ${Math.max(0, Date.now() - Number(detail.position.split("-")[0]))} ms`);
    take(detail);
  });
}

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) })
    .catch(() => null);
  if (!answer) return say("told", "The shop cannot be reached: are you offline?");
  const said = await answer.json().catch(() => ({}));
  say("told", answer.ok ? "" : (said.reason ?? said.detail ?? "That did not work."));
}

if ($("left")) {
  $("left").value = "20"; // until a ticket is sold
  follow("ticket.availability", (event) => { $("left").value = event.data.available; });
  $("buy").addEventListener("click", () => send("/demo/buy"));
  $("restock").addEventListener("click", () => send("/demo/restock"));
}

if ($("seats")) {
  const buyer = crypto.getRandomValues(new Uint32Array(2)).join("-");
  for (const row of "ABCDEF") {
    for (let number = 1; number <= 10; number++) {
      const seat = document.createElement("button");
      seat.id = `${row}${number}`;
      seat.textContent = seat.id;
      seat.addEventListener("click", () => send(`/demo/seats/${seat.id}`, { buyer }));
      $("seats").append(seat);
      show(seat, "available");
    }
  }
  follow("seat.status", (event) => {
    const seat = $(event.subject.split("/").pop());
    if (seat) show(seat, event.data.status === "held" && event.data.by === buyer ? "mine" : event.data.status);
  });
}

function show(seat, status) {
  const word = { available: "free", mine: "yours" }[status] ?? "taken";
  seat.className = word;
  seat.setAttribute("aria-label", `Seat ${seat.id}: ${word}`);
  seat.setAttribute("aria-pressed", String(word === "yours"));
  if (word === "taken") seat.setAttribute("aria-disabled", "true");
  else seat.removeAttribute("aria-disabled");
}
