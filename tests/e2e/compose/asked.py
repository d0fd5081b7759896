"""Sends requests to the Docker proxy from a container beside it; reads them as JSON and prints the statuses as JSON."""

import http.client
import json
import sys

statuses = []
for method, path, body in json.load(sys.stdin):
    connection = http.client.HTTPConnection("docker-proxy", 2375, timeout=60)
    headers = {"Content-Type": "application/json"} if body else {}
    connection.request(method, path, body=body or None, headers=headers)
    answer = connection.getresponse()
    statuses.append([answer.status, answer.read().decode(errors="replace")])
    connection.close()
json.dump(statuses, sys.stdout)
