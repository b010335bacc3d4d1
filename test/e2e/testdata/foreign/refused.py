"""Posts a body that is too large, and prints the answer's status and problem."""
import json, sys, urllib.error, urllib.request

url, key, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
request = urllib.request.Request(url + "/v1/events", data=b" " * size, headers=headers)
try:
    print(urllib.request.urlopen(request).status)
except urllib.error.HTTPError as answer:
    print(answer.code, json.load(answer)["type"])
