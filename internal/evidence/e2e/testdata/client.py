"""Makes the requests on standard input, a JSON list, and writes what was answered.

With the library requests if there is one, else with urllib; the first line on
standard error says which.
"""
import json
import sys

try:
    import requests

    print("python requests " + requests.__version__, file=sys.stderr)

    def send(method, url, body, headers):
        r = requests.request(method, url, data=body, headers=headers)
        return r.status_code, r.headers, r.text
except ImportError:
    import urllib.error
    import urllib.request

    print("python urllib, for requests is not installed", file=sys.stderr)

    class Request(urllib.request.Request):
        def has_header(self, name):  # else urllib adds the content-type of a form
            return name.lower() == "content-type" or super().has_header(name)

    def send(method, url, body, headers):
        request = Request(url, data=body, headers=headers, method=method)
        try:
            r = urllib.request.urlopen(request)
        except urllib.error.HTTPError as e:
            r = e
        return r.status, r.headers, r.read().decode()


answers = []
for a in json.load(sys.stdin):
    body = None if a["method"] == "GET" else b"x" * a["size"]
    status, headers, text = send(a["method"], a["url"], body, {"content-type": a["type"]} if a["type"] else {})
    answers.append({"status": status, "reason": headers.get("x-oncegate-reason", ""), "body": text})
json.dump(answers, sys.stdout)
