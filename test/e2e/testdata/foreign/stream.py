"""Prints what a stream delivers, one JSON object a line, and reconnects by itself.

Needs the standard library alone. Usage: python3 stream.py HOST:PORT PATH KEY
"""

import http.client
import json
import sys
import time


def events(lines):
    """Yield (id, event, data) for each event in lines. An unfinished one is dropped."""
    fields = {"id": "", "event": "", "data": []}
    for raw in lines:
        line = raw.decode("utf-8").rstrip("\r\n")
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data":
                fields["data"].append(value)
            elif name in fields:
                fields[name] = value
        else:
            if fields["data"]:
                yield fields["id"], fields["event"], "\n".join(fields["data"])
            fields = {"id": fields["id"], "event": "", "data": []}


def main(address, path, key):
    last = ""
    while True:
        headers = {"Authorization": f"Bearer {key}"}
        if last:
            headers["Last-Event-ID"] = last
        connection = http.client.HTTPConnection(address, timeout=45)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                sys.exit(f"refused: {response.status} {response.read()}")
            for last, event, data in events(response):
                print(json.dumps({"id": last, "event": event, "data": data}), flush=True)
        except (OSError, http.client.HTTPException) as error:
            print(f"lost the connection: {error!r}", file=sys.stderr)
        finally:
            connection.close()
        time.sleep(0.2)


main(*sys.argv[1:])
