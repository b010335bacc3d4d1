// Prints what the npm package eventsource receives, one JSON object a line.
// Usage: node eventsource.js URL KEY
import { EventSource } from 'eventsource'

const [url, key] = process.argv.slice(2)
const source = new EventSource(url, {
  fetch: (input, init) =>
    fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${key}` } }),
})
const print = ({ type, lastEventId, data }) =>
  process.stdout.write(JSON.stringify({ id: lastEventId, event: type, data }) + '\n')

for (const name of ['payment.paid', 'stream.reset', 'message']) source.addEventListener(name, print)
source.addEventListener('error', ({ message }) => {
  if (source.readyState === EventSource.CLOSED) {
    console.error(`gave up: ${message}`)
    process.exit(1)
  }
})
