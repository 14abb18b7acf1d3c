import sys

import requests

url, path = sys.argv[1:]
with open(path, "rb") as file:
    answer = requests.put(url, data=file)
print(answer.status_code, answer.headers.get("x-oncegate-reason", ""))
