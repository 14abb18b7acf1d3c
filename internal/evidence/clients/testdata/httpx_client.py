import sys

import httpx

url, path = sys.argv[1:]
with open(path, "rb") as file:
    answer = httpx.put(url, content=file.read())
print(answer.status_code, answer.headers.get("x-oncegate-reason", ""))
