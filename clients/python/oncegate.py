"""Uploads files of any size with one-time URLs of oncegate.

One file, without dependencies, for Python 3.9 or later: copy it into your program.

    import oncegate

    minted = oncegate.mint("https://dXXXX.cloudfront.net", {"maxBytes": 2_000_000_000}, key=api_key)
    try:
        stored = oncegate.upload(minted, "film.mov")
    except oncegate.OncegateError as error:
        print(error, error.reason, error.fate)

Every request has a connection of its own and is sent once. No library below repeats it, follows a
redirect with it or adds a header to it.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import mimetypes
import os
import random
import re
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple, Union

__all__ = ["FileChanged", "Minted", "NoAnswer", "OncegateError", "Refused", "Stored", "give_up", "mint", "upload"]

_MIB = 1 << 20
_PIECE = 256 << 10  # bytes that are read and sent at a time
_USUAL_PART = 8 * _MIB
_LEAST_PART = 5 * _MIB  # what S3 asks of all parts but the last
_TRIES = 8
_ROUNDS = 3  # of sending what complete says is missing
_MOST_WAITING = 600  # answers that S3 is still making the object
_MOST_ANSWER = 1 << 20
# No byte moved for this time: longer than CloudFront waits for S3.
_SILENCE = 150.0

File = Union[str, "os.PathLike[str]", bytes]
"""What can be uploaded: the path of a file, or bytes."""


class OncegateError(Exception):
    """Every failure of this client. As text it is one sentence, safe to show.

    reason       of the refusal (x-oncegate-reason), or "connection" or "file", or "" if somebody else
                 than oncegate answered
    status       the HTTP status; 0 if no answer came
    fate         what became of the URL: "good" (nothing was spent), "spent" (and nothing is stored),
                 "broken" (perhaps spent, and nothing is stored), "unknown" (perhaps spent, and perhaps
                 stored), "useless" (used, revoked, expired or never minted before)
    retry_after  seconds that the server asks to wait, or 0
    """

    def __init__(self, message: str, *, reason: str = "", status: int = 0, fate: str = "unknown", retry_after: float = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.fate = fate
        self.retry_after = retry_after


class Refused(OncegateError):
    """An answer other than success."""


class NoAnswer(OncegateError):
    """The connection was not made, or broke off. Its reason is "connection"."""


class FileChanged(OncegateError):
    """The file changed or went away while it was sent. Its reason is "file"."""


@dataclass(frozen=True)
class Minted:
    """A one-time URL."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """What to send with the upload."""
    id: str = ""
    """Names the URL without giving it away."""
    expires_at: str = ""
    """The first moment at which it is no longer good, RFC 3339."""


@dataclass(frozen=True)
class Stored:
    """An upload that S3 has stored."""

    size: int
    etag: str
    """Of the object, without quotes."""
    parts: int
    """How many it was made of; 0 after one PUT."""


Progress = Callable[[int, int], None]
"""Called with the bytes sent so far, and all. The first can go back when a part is sent again."""
Retry = Callable[[OncegateError, float], None]
"""Called before each wait, in seconds, after something went wrong that may pass."""


def mint(
    deployment: str, order: Optional[Mapping[str, Any]] = None, *, key: Optional[str] = None, token: Optional[str] = None,
    on_retry: Optional[Retry] = None,
) -> Minted:
    """Asks the deployment, "https://…", for a URL.

    order has the options of docs/api.md, such as {"expires": 600, "maxBytes": 1000000, "type": "image/*"}. key
    is an API key, token a bearer token: a JWT, or the secret of an invitation.
    """
    parts = urllib.parse.urlsplit(deployment.strip())
    if (key or token) and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise ValueError("the deployment's URL is plain http: a key or token would be readable on the way, use https")
    headers = {"content-type": "application/json"}
    for name, credential in (("x-api-key", key), ("authorization", token and "Bearer " + token)):
        if credential:
            if not credential.isascii() or not credential.isprintable():
                raise ValueError("the key or token has a character that none has")
            headers[name] = credential
    body = _Source(json.dumps(dict(order or {})).encode())
    url = f"{parts.scheme}://{parts.netloc}/url"
    answer = _repeat(lambda: _ask("POST", url, headers, body), on_retry).json()
    if not isinstance(answer.get("url"), str):
        raise OncegateError("The answer is 200 without a URL: is this a deployment of oncegate, and was one URL asked for?", status=200)
    return Minted(answer["url"], answer.get("headers") or {}, answer.get("id", ""), answer.get("expiresAt", ""))


def upload(
    target: Union[str, Minted], file: File, *, content_type: Optional[str] = None, multipart: Optional[bool] = None,
    part_bytes: int = _USUAL_PART, on_progress: Optional[Progress] = None, on_retry: Optional[Retry] = None,
) -> Stored:
    """Uploads a file with a one-time URL.

    Called again with the same URL and file it goes on with the parts that are there, after comparing
    their MD5s, also in another process or on another machine: it keeps no state of its own.

    content_type  if the URL does not name one; by default it is guessed from the file's name
    multipart     in parts, which a broken connection does not spoil, or in one PUT; by default parts
                  over 8 MiB. An empty file is always one PUT
    part_bytes    size of a part, at least 5 MiB. It is more if there would be too many parts
    """
    minted = target if isinstance(target, Minted) else Minted(target.strip())
    source = _Source(file)
    headers = {name.lower(): value for name, value in minted.headers.items()}
    guessed = None if isinstance(file, bytes) else mimetypes.guess_type(os.fspath(file))[0]
    chosen = headers.get("content-type") or content_type or guessed
    if chosen:
        headers["content-type"] = chosen
    if source.size > 0 and (source.size > _USUAL_PART if multipart is None else multipart):
        return _Parts(minted.url, source, headers, part_bytes, on_progress, on_retry).send()

    def sent(n: int) -> None:
        if on_progress:
            on_progress(n, source.size)

    # Only what has spent nothing may be sent again.
    answer = _repeat(lambda: _ask("PUT", minted.url, headers, source, sent=sent), on_retry, lambda error: error.fate == "good")
    return Stored(source.size, _unquoted(answer.header("etag")), 0)


def give_up(url: str, *, on_retry: Optional[Retry] = None) -> None:
    """Gives an upload up: its parts are dropped and its URL is revoked."""
    _repeat(lambda: _ask("DELETE", url.strip(), {}), on_retry)


class _Source:
    """What is sent: bytes, a file, or a piece of either."""

    def __init__(self, file: File, start: int = 0, size: Optional[int] = None) -> None:
        self.file, self.start = file, start
        if size is None:
            size = len(file) if isinstance(file, bytes) else os.stat(file).st_size
        self.size = size

    def part(self, start: int, size: int) -> _Source:
        return _Source(self.file, start, min(size, self.size - start))

    def pieces(self) -> Iterator[bytes]:
        """All of it, or FileChanged."""
        if isinstance(self.file, bytes):
            yield self.file[self.start : self.start + self.size]
            return
        left = self.size
        try:
            with open(self.file, "rb") as opened:
                opened.seek(self.start)
                while left > 0:
                    piece = opened.read(min(left, _PIECE))
                    if not piece:
                        raise EOFError
                    left -= len(piece)
                    yield piece
        except (OSError, EOFError) as cause:
            raise FileChanged("The file changed or went away while it was sent.", reason="file", fate="good") from cause


class _Answer:
    def __init__(self, status: int, headers: Mapping[str, str], text: str) -> None:
        self.status, self.headers, self.text = status, headers, text

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    def seconds(self) -> float:
        """Retry-After, at most ten minutes."""
        value = self.header("retry-after")
        return min(float(value), 600.0) if value.isascii() and value.isdigit() else 0.0

    def json(self) -> Dict[str, Any]:
        try:
            value = json.loads(self.text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise OncegateError("The answer is not JSON of oncegate.", status=self.status)
        return value


def _ask(
    method: str, url: str, headers: Mapping[str, str], body: Optional[_Source] = None, *, sent: Optional[Callable[[int], None]] = None,
    bare: str = "",
) -> _Answer:
    """Sends one request once. bare is the fate of the URL after a failure that does not tell it."""
    connection, path = _connection(url)
    try:
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as cause:
            raise NoAnswer("No connection could be made.", reason="connection", fate="good") from cause
        # The two that http.client would add are the only ones that are not named here.
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in {"accept": "application/json", "user-agent": "oncegate-python", **headers}.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(body.size))
        elif method == "POST":
            connection.putheader("content-length", "0")
        broken: Optional[OSError] = None
        done = 0
        try:
            connection.endheaders()
            for piece in body.pieces() if body is not None else ():
                connection.send(piece)
                done += len(piece)
                if sent:
                    sent(done)
        except FileChanged as error:
            error.fate = bare or "broken"  # the gate has seen the request
            raise
        except OSError as cause:
            broken = cause  # perhaps after an early answer, which says more
        try:
            response = connection.getresponse()
            text = response.read(_MOST_ANSWER).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as cause:
            raise NoAnswer("The connection broke off.", reason="connection", fate=bare or "unknown") from (broken or cause)
        answer = _Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, text)
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise _refusal(answer, bare)
    if broken is not None:
        raise NoAnswer("The answer came before the file was sent.", reason="connection", fate=bare or "unknown") from broken
    return answer


def _connection(url: str) -> Tuple[http.client.HTTPConnection, str]:
    """The connection of a URL, and what to ask for on it. No error repeats the URL, which is a secret."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("not a URL as oncegate makes it: it has a space or a character that no URL has")
    parts = urllib.parse.urlsplit(url)
    kinds = {"https": http.client.HTTPSConnection, "http": http.client.HTTPConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise ValueError("not a URL as oncegate makes it: allowed is http:// or https:// and a host")
    path = parts.path + ("?" + parts.query if parts.query else "")
    return kinds[parts.scheme](parts.hostname, parts.port, timeout=_SILENCE), path


# The reasons of x-oncegate-reason, by what became of the URL. Whatever is not here may have spent it.
_USELESS = ("used", "revoked", "expired", "unknown")
_GOOD = (
    "method", "path", "length-required", "too-large", "too-small", "type", "header", "index-unavailable",
    "no-multipart", "not-started", "part", "incomplete",
)  # fmt: skip


def _fate(status: int, reason: str, text: str) -> str:
    """Says what a refusal of an upload in one PUT means for its URL."""
    if reason in _USELESS:
        return "useless"
    if reason in _GOOD:
        return "good"
    if reason or status < 300 or status >= 500:
        return "unknown"
    # The gate names a reason with each refusal. So S3 answers only what the gate let through; but
    # InvalidAccessKeyId means that the URL never reached the gate.
    code = re.search(r"<Code>(\w{1,64})</Code>", text)
    if code and code[1] != "InvalidAccessKeyId":
        return "spent"
    return "unknown" if status < 400 else "broken"


def _refusal(answer: _Answer, bare: str) -> Refused:
    reason = answer.header("x-oncegate-reason")[:40]
    try:
        message = json.loads(answer.text)["message"]
    except (ValueError, TypeError, KeyError):
        message = None  # text in whose words nothing is known: S3 may put a canonical request there
    if not isinstance(message, str) or not message:
        message = f"The server answered {answer.status}" + (f" ({reason})." if reason else ".")
    message = "".join(c if c.isprintable() else "?" for c in message[:400])
    fate = bare if bare and not reason else _fate(answer.status, reason, answer.text)
    return Refused(message, reason=reason, status=answer.status, fate=fate, retry_after=answer.seconds())


def _passing(error: OncegateError) -> bool:
    """Reports whether the same request may succeed later."""
    return isinstance(error, NoAnswer) or error.status == 429 or error.status >= 500


def _repeat(work: Callable[[], _Answer], on_retry: Optional[Retry], when: Callable[[OncegateError], bool] = lambda _: True) -> _Answer:
    """Repeats what failed in passing, at growing random intervals."""
    attempt = 1
    while True:
        try:
            return work()
        except OncegateError as error:
            if not _passing(error) or not when(error) or attempt == _TRIES:
                raise
            # Full jitter, so that many clients do not come back at once.
            delay = max(error.retry_after, random.uniform(0, min(0.5 * 2**attempt, 30)))
            if on_retry:
                on_retry(error, delay)
        time.sleep(delay)
        attempt += 1


def _unquoted(etag: str) -> str:
    return etag.strip('"')


class _Parts:
    """One run of an upload in parts, one after the other."""

    def __init__(
        self, url: str, source: _Source, headers: Mapping[str, str], part_bytes: int, on_progress: Optional[Progress], on_retry: Optional[Retry]
    ) -> None:
        self.url, self.source, self.headers, self.wanted = url, source, headers, part_bytes
        self.on_progress, self.on_retry = on_progress, on_retry
        self.listed: Dict[int, Tuple[int, str]] = {}  # number: size, ETag

    def ask(
        self, method: str, query: str, headers: Optional[Mapping[str, str]] = None, body: Optional[_Source] = None,
        sent: Optional[Callable[[int], None]] = None, bare: str = "good",
    ) -> _Answer:
        # Every request about parts may be sent again: none of them spends twice.
        return _repeat(lambda: _ask(method, self.url + query, headers or {}, body, sent=sent, bare=bare), self.on_retry)

    def send(self) -> Stored:
        part_bytes, max_parts, max_bytes = self.start()
        if self.source.size > min(part_bytes * max_parts, max_bytes or self.source.size):
            raise OncegateError("The file is larger than this URL takes.", reason="too-large", fate="good")
        size = self.part_size(part_bytes, max_parts)
        parts = [self.source.part(start, size) for start in range(0, self.source.size, size)]
        for last in range(_ROUNDS):
            etags = [self.part(i, part, i * size) for i, part in enumerate(parts)]
            try:
                return self.complete(etags)
            except Refused as error:
                # S3 has other parts than these: of somebody else with the same URL, or an older file.
                if error.reason != "incomplete" or last == _ROUNDS - 1:
                    raise
                self.list()
        raise AssertionError("the last round returns or raises")

    def start(self) -> Tuple[int, int, int]:
        """Starts the upload, or finds it under way or done, and sees which parts are there."""
        try:
            plan = self.ask("POST", "&uploads", self.headers).json()
        except Refused as error:
            if error.reason != "used":
                raise
            # The answer of complete may have got lost. Then list and complete go on answering.
            try:
                self.list()
            except OncegateError:
                raise error from None
            return self.source.size, 1000, 0
        self.list()
        try:
            return int(plan["partBytes"]), int(plan["maxParts"]), int(plan.get("maxBytes", 0))
        except (KeyError, TypeError, ValueError):
            raise OncegateError("The answer to the start is not JSON of oncegate.", status=200, fate="good") from None

    def list(self) -> None:
        listed: Dict[int, Tuple[int, str]] = {}
        after = 0
        while True:
            page = self.ask("GET", "&parts" + (f"&after={after}" if after else "")).json()
            for part in page.get("parts", ()):
                listed[part["number"]] = (part["size"], _unquoted(part["etag"]))
            if page.get("next", 0) <= after:
                self.listed = listed
                return
            after = page["next"]

    def part_size(self, part_bytes: int, max_parts: int) -> int:
        """The size of all parts but the last.

        An upload under way keeps its own, by whichever parts are there: with larger ones, those of high
        numbers would be left over. A new one gets what is wanted, or more if there would be too many.
        """
        least = -(-self.source.size // (max_parts * _MIB)) * _MIB
        own = [size for size, _ in self.listed.values() if max(least, _LEAST_PART) <= size < self.source.size]
        if own:
            return max(own)  # the last one is smaller
        return min(max(self.wanted, _LEAST_PART, least), part_bytes)

    def part(self, i: int, part: _Source, before: int) -> str:
        """Sends one part, unless it is there, and returns its ETag."""
        md5 = _md5()
        for piece in part.pieces():
            md5.update(piece)
        there = self.listed.get(i + 1) == (part.size, md5.hexdigest())
        etag = md5.hexdigest()

        def sent(n: int) -> None:
            if self.on_progress:
                self.on_progress(before + n, self.source.size)

        if not there:
            headers = {"content-md5": base64.b64encode(md5.digest()).decode()}  # S3 checks it
            answer = self.ask("PUT", f"&partNumber={i + 1}", headers, part, sent)
            etag = _unquoted(answer.header("etag"))
            if not re.fullmatch("[0-9A-Za-z_-]{1,64}", etag):
                raise OncegateError("The answer to a part is 200 without an ETag of S3's form.", status=200, fate="good")
        sent(part.size)
        return etag

    def complete(self, etags: List[str]) -> Stored:
        """Makes the object of the parts that are meant. They are named by the ETag that S3 will give it. In a bucket
        that encrypts with a key of KMS their ETags are no MD5s, and the object has another one."""
        md5 = _md5()
        for etag in etags:
            md5.update(bytes.fromhex(etag) if re.fullmatch("[0-9a-fA-F]{32}", etag) else etag.encode())
        etag = f"{md5.hexdigest()}-{len(etags)}"
        for _ in range(_MOST_WAITING):
            answer = self.ask("POST", "&complete&etag=" + etag, bare="unknown")
            done = answer.json()
            if done.get("stored"):
                return Stored(self.source.size, _unquoted(done.get("etag", etag)), len(etags))
            time.sleep(answer.seconds() or 1)
        raise OncegateError("S3 is still making the object of the parts.", fate="unknown")


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)
