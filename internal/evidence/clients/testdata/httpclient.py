import http.client
import sys
import urllib.parse

url, path = sys.argv[1:]
parts = urllib.parse.urlsplit(url)
connection = http.client.HTTPConnection(parts.netloc)
with open(path, "rb") as file:
    connection.request("PUT", parts.path + "?" + parts.query, file.read())
answer = connection.getresponse()
print(answer.status, answer.getheader("x-oncegate-reason", ""))
