import json, os, time, urllib.error, urllib.request

position, wait = os.environ.get("POSITION", ""), 3.0
while True:
    request = urllib.request.Request(os.environ["PUSHSERVER_URL"] + "/v1/stream",
                                     headers={"Authorization": "Bearer " + os.environ["PUSHSERVER_KEY"]})
    if position:
        request.add_header("Last-Event-ID", position)
    try:
        with urllib.request.urlopen(request, timeout=60) as stream:  # a heartbeat comes every 15 s
            event = {}
            for line in stream:
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name == "retry":
                    wait = int(value) / 1000
                elif name:
                    event[name] = value
                else:
                    position = event.get("id", position)
                    if not event.get("event", "stream.").startswith("stream."):
                        print(position, event["event"], json.loads(event["data"])["data"], flush=True)
                    event = {}
    except urllib.error.HTTPError as refusal:
        if refusal.code != 429 and refusal.code < 500:
            raise  # a retry would be refused too; the body says why
        wait = float(refusal.headers.get("Retry-After", wait))
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        pass
    time.sleep(wait)
