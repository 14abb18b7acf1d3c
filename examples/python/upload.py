"""Uploads a file with a one-time URL, with Python's standard library alone.

    ONCEGATE_URL=http://localhost:8080 python3 upload.py photo.jpg
"""

import json
import mimetypes
import os
import sys
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen


def mint(oncegate, options):
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if key := os.environ.get("ONCEGATE_KEY"):  # with "auth": "api-key"
        headers["x-api-key"] = key
    with urlopen(Request(f"{oncegate}/url", json.dumps(options).encode(), headers)) as answer:
        return json.load(answer)


def upload(oncegate, path):
    size = os.path.getsize(path)
    minted = mint(oncegate, {"name": os.path.basename(path), "minBytes": size, "maxBytes": max(size, 1)})
    headers = {
        # Without these two urllib sends a chunked body, and the type of a form.
        "Content-Length": str(size),
        "Content-Type": mimetypes.guess_type(path)[0] or "application/octet-stream",
        **minted["headers"],
    }
    with open(path, "rb") as file:
        with urlopen(Request(minted["url"], file, headers, method="PUT")) as answer:
            return answer.headers["x-amz-version-id"]


def main():
    try:
        print("stored, version", upload(os.environ["ONCEGATE_URL"], sys.argv[1]))
    except HTTPError as refused:
        reason = refused.headers["x-oncegate-reason"]
        sentence = refused.read().decode() if reason else refused
        if reason == "index-unavailable":
            sys.exit(f"Nothing is spent, the same request may be sent again. {sentence}")
        if reason in ("used", None):  # an earlier try got through; or CloudFront or S3 answered, not oncegate
            sys.exit(f"The file may be stored: ask the owner before you upload it again. {sentence}")
        sys.exit(f"Not stored. {sentence}")
    except (URLError, ConnectionError, TimeoutError) as lost:
        # Also what a refusal looks like if it came while a large body was being sent.
        sys.exit(f"No answer ({lost}). The file may be stored: ask the owner before you upload it again.")


main()
