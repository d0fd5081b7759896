"""Send requests (JSON on stdin) to the Docker proxy and print the responses as JSON; runs in a container."""

import http.client
import json
import sys

statuses = []
for method, path, body in json.load(sys.stdin):
    connection = http.client.HTTPConnection("docker-proxy", 2375, timeout=60)
    headers = {"Content-Type": "application/json"} if body else {}
    connection.request(method, path, body=body or None, headers=headers)
    response = connection.getresponse()
    statuses.append([response.status, response.read().decode(errors="replace")])
    connection.close()
json.dump(statuses, sys.stdout)
