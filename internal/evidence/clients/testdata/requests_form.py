"""A mistake that is often made: files= makes requests send a form."""
import sys

import requests

url, path = sys.argv[1:]
with open(path, "rb") as file:
    answer = requests.put(url, files={"file": file})
print(answer.status_code, answer.headers.get("x-oncegate-reason", ""))
