import json, os, time, urllib.error, urllib.request

def publish(event, attempts=5):
    for attempt in range(attempts):
        request = urllib.request.Request(
            os.environ["PUSHSERVER_URL"] + "/v1/events", json.dumps(event).encode(),
            {"Authorization": "Bearer " + os.environ["PUSHSERVER_PUBLISHER_KEY"], "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            if refusal.code != 429 and refusal.code < 500:
                raise  # a retry would be refused too; the body says why
            wait = float(refusal.headers.get("Retry-After", 1))
        except urllib.error.URLError:
            wait = 2 ** attempt
        time.sleep(wait)
    raise RuntimeError("the event may or may not have been published")

print(publish({"merchant": "acme", "type": "payment.made", "id": "order-9932-paid", "data": {"amount": 4200}}))
