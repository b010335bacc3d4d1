// Uses types that openapi-typescript has generated, as description.d.ts, from the
// description of a server.
import createClient from "openapi-fetch";
import type { components, paths } from "./description.js";

const as = (variable: string) =>
  createClient<paths>({ baseUrl: process.env.PUSHSERVER_URL, headers: { Authorization: `Bearer ${process.env[variable]}` } });
const merchant = as("PUSHSERVER_KEY");
const publisher = as("PUSHSERVER_PUBLISHER_KEY");

function must<T>(answer: { data?: T; error?: unknown }, what: string): T {
  if (answer.data === undefined) throw new Error(`${what}: ${JSON.stringify(answer.error)}`);
  return answer.data;
}

const me = must(await merchant.GET("/v1/me"), "me");
const role: "merchant" | "publisher" | "admin" = me.role;
const published = must(await publisher.POST("/v1/events", {
  body: { merchant: "acme", type: "ticket.availability", subject: "event/42", data: { available: 17 } },
}), "publish");
const page = must(await merchant.GET("/v1/events", { params: { query: { types: ["ticket.*"], limit: 10 } } }), "history");
const event: components["schemas"]["Page"]["events"][number] | undefined = page.events[0];
const refused = await merchant.GET("/v1/keys");
const problem: components["schemas"]["Problem"] | undefined = refused.error;
if (role !== "merchant" || !("position" in published) || event?.event !== "ticket.availability" || problem?.type !== "/problems/wrong-role") {
  throw new Error(JSON.stringify({ role, published, page, problem }));
}
console.log("all as described");
