"""Uploads with the client of this repository: python3 cases.py url file multipart part-bytes. It prints the outcome in JSON."""

import json
import sys

sys.path.insert(0, "../../../../clients/python")
import oncegate

url, file, multipart, part_bytes = sys.argv[1:]
retries = []
options = {"part_bytes": int(part_bytes), "multipart": json.loads(multipart), "on_retry": lambda error, delay: retries.append(error.reason)}
try:
    stored = oncegate.upload(url, file, **options)
    outcome = {"parts": stored.parts, "size": stored.size, "etag": stored.etag}
except oncegate.OncegateError as error:
    outcome = {"reason": error.reason, "fate": error.fate, "message": str(error), "failed": True}
print(json.dumps({**outcome, "retries": len(retries)}))
