"""Requests in every wrong, odd and right frame that somebody could read in two ways: the contract of whatever takes bytes from strangers.

Each is one request, or none. Behind each a test sends a whole second one, which must never be answered: whoever answers it has taken a
part of the first for a request of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto


class Law(Enum):
    """What has to become of a form."""

    TAKEN = (
        auto()
    )  # decided on, with exactly its body: so that a server which refuses everything does not pass
    EITHER = auto()  # taken with exactly its body, or refused
    REFUSED = auto()  # 4xx, or closed without a word


@dataclass(frozen=True)
class Form:
    """One request. body: what it says by the only reading of RFC 9112 that it has."""

    name: str
    data: bytes
    law: Law
    body: bytes = b""


@dataclass(frozen=True)
class Around:
    """What the forms are about: a change and a read at this target, with these header lines (each with its CRLF) and this body."""

    target: bytes
    lines: bytes = b""
    body: bytes = b"hello"
    method: bytes = b"PUT"

    def change(self, headers: bytes, after: bytes, *, version: bytes = b"HTTP/1.1") -> bytes:
        start = b"%b %b %b\r\n" % (self.method, self.target, version)
        return start + b"Host: gate\r\n" + self.lines + headers + b"\r\n" + after

    def read(self, headers: bytes = b"", *, first: bytes = b"", host: bytes = b"Host: gate\r\n") -> bytes:
        return (first or b"GET %b HTTP/1.1\r\n" % self.target) + host + self.lines + headers + b"\r\n"


def forms(about: Around) -> Iterator[Form]:
    """Gives them all."""
    yield from codings(about)
    yield from lengths(about)
    yield from chunks(about)
    yield from trailers(about)
    yield from line_ends(about)
    yield from names(about)
    yield from first_lines(about)
    yield from targets(about)
    yield from hosts(about)
    yield from expectations(about)
    yield from very_long(about)


def _listed(listed: bytes, **given: bytes) -> list[bytes]:
    """Gives the spellings that stand between bars, each with what is given in the place of its name."""
    for name, value in given.items():
        listed = listed.replace(b"{%b}" % name.encode(), value)
    return listed.split(b"|")


def _shown(data: bytes) -> str:
    return repr(data[:60])[2:-1]


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def codings(about: Around) -> Iterator[Form]:
    """Transfer-Encoding in every spelling."""
    taken = _listed(b" chunked|chunked|\tchunked| ChUnKeD| CHUNKED")
    either = _listed(b" chunked | chunked\t|  \t chunked \t ")
    refused = _listed(
        b" chunked, chunked| chunked,| ,chunked| , chunked| chunked,,| gzip, chunked| chunked, gzip| identity| identity, chunked"
        b"| chunked, identity| deflate| xchunked| chunkedx| chunke| chunk ed"
        b"| \"chunked\"| 'chunked'| chunked;q=1| chunked ;a=b| chunked; a"
        b"| chunked\x0b| \x0bchunked| \x0cchunked| chunked\x0c| chunked\x00| \x00chunked| chunked\x7f| \xa0chunked| chunked\xa0"
        b"| chun\xc4\xb1ked| \xef\xbd\x83hunked|| | \xef\xbb\xbfchunked| chunked\xe2\x80\x8b| cow| 1"
        b"|\r\n chunked|\r\n\tchunked| \r\n chunked|\n chunked|\nchunked| chunked\r| chunked\rX: y|\rchunked"
    )
    for law, values in ((Law.TAKEN, taken), (Law.EITHER, either), (Law.REFUSED, refused)):
        for value in values:
            data = about.change(b"Transfer-Encoding:%b\r\n" % value, _chunked(about.body))
            yield Form(f"coding {_shown(value)}", data, law, about.body)
    header = b"Transfer-Encoding: chunked\r\n"
    others = [b"Transfer-Encoding: %b\r\n" % coding for coding in (b"identity", b"gzip", b"")]
    for other in (header, header.upper(), header.lower(), *others):
        yield Form(
            f"chunked, then {_shown(other)}", about.change(header + other, _chunked(about.body)), Law.REFUSED
        )
        yield Form(
            f"{_shown(other)}, then chunked", about.change(other + header, _chunked(about.body)), Law.REFUSED
        )
    for length in (b"0", b"3", b"5", b"%d" % len(_chunked(about.body)), b"99999", b"", b"-1"):
        line = b"Content-Length: %b\r\n" % length
        for order, both in (("before", line + header), ("behind", header + line)):
            yield Form(
                f"length {_shown(length)} {order} chunked",
                about.change(both, _chunked(about.body)),
                Law.REFUSED,
            )
    for name in _listed(
        b"Transfer-Encoding |Transfer-Encoding\t| Transfer-Encoding|Transfer_Encoding|Transfer-Encoding\x00|Transfer\xadEncoding"
        b"|Transfer-Encoding\r\n "
    ):
        yield Form(
            f"coding under {_shown(name)}",
            about.change(name + b": chunked\r\n", _chunked(about.body)),
            Law.REFUSED,
        )
    old = about.change(header, _chunked(about.body), version=b"HTTP/1.0")
    yield Form("chunked in HTTP/1.0", old, Law.REFUSED)
    kept = header + b"Connection: keep-alive\r\n"
    old = about.change(kept, _chunked(about.body), version=b"HTTP/1.0")
    yield Form("chunked in HTTP/1.0, kept", old, Law.REFUSED)


def lengths(about: Around) -> Iterator[Form]:
    """Content-Length in every spelling."""
    size = b"%d" % len(about.body)
    taken = _listed(b" {n}|{n}|\t{n}", n=size)
    either = _listed(b" {n} | {n}\t| 0{n}| 000000000{n}", n=size)
    refused = _listed(
        b' +{n}| -{n}| -0| - {n}| {n},{n}| {n}, {n}| {n},| 0x{n}| {n}h| {n}.0| {n}e0| 1_0| 1 0| {n};| "{n}"'
        b"|| | a| NaN| \x00{n}| {n}\x00| {n}\x0b| \xd9\xa5| \xc2\xb2| \xef\xbc\x95"
        b"| 18446744073709551616| 18446744073709551621| 99999999999999999999999| 9223372036854775808| 4294967301"
        b"|\r\n {n}|\r\n\t{n}|\n{n}| {n}\r\n 0",
        n=size,
    )
    for law, values in ((Law.TAKEN, taken), (Law.EITHER, either), (Law.REFUSED, refused)):
        for value in values:
            data = about.change(b"Content-Length:%b\r\n" % value, about.body)
            yield Form(f"length {_shown(value)}", data, law, about.body)
    line = b"Content-Length: %b\r\n" % size
    others = _listed(
        b"Content-Length: 0|Content-Length: 99|Content-Length:|Content-Length : 0|Content_Length: 0"
    )
    for other in (line, line.lower(), *(other + b"\r\n" for other in others)):
        yield Form(f"a length, then {_shown(other)}", about.change(line + other, about.body), Law.REFUSED)
        yield Form(f"{_shown(other)}, then a length", about.change(other + line, about.body), Law.REFUSED)


def chunks(about: Around) -> Iterator[Form]:
    """Chunks in every spelling."""
    header, body, size = b"Transfer-Encoding: chunked\r\n", about.body, b"%x" % len(about.body)
    half = len(body) // 2
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]))

    def form(name: str, law: Law, framed: bytes) -> Form:
        return Form(name, about.change(header, framed), law, body)

    yield form("two chunks", Law.TAKEN, parts + b"0\r\n\r\n")
    yield form(
        "a chunk of each byte", Law.TAKEN, b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    )
    high = b"0" * (16 - len(size)) + size
    taken = _listed(b'0{n}|000{n}|{n};a=b|{n};a|{n};a="b;c"|{n}', n=size.upper())
    either = _listed(
        b'{n} |{n}\t|{n} ;a=b|{n}; a=b|{n};|{n};a=|{n};a="b|{zeros}{n}|{n};\x01', n=size, zeros=b"0" * 40
    )
    refused = _listed(
        b"+{n}|-{n}| {n}|\t{n}|0x{n}|{n}h|g||,|{n},{n}|{n}\x00|{n}\x0b|1 0|{n}.|\xd9\xa5|\xef\xbc\x95"
        b"|1{low}|1{high}|ffffffffffffffff|fffffffffffffffff|8000000000000000|7fffffffffffffff|-1|ffffffff"
        b'|{n};a\nb|{n};a\rb|{n};"\r\n"|{n};\x00',
        n=size,
        low=high[8:],
        high=high,
    )
    for law, sizes in ((Law.TAKEN, taken), (Law.EITHER, either), (Law.REFUSED, refused)):
        for spelled in sizes:
            yield form(f"chunk size {_shown(spelled)}", law, spelled + b"\r\n" + body + b"\r\n0\r\n\r\n")
    ends = {
        "line feed behind the size": size + b"\n" + body + b"\r\n0\r\n\r\n",
        "carriage return behind the size": size + b"\r" + body + b"\r\n0\r\n\r\n",
        "two carriage returns behind the size": size + b"\r\r\n" + body + b"\r\n0\r\n\r\n",
        "line feed behind the data": size + b"\r\n" + body + b"\n0\r\n\r\n",
        "carriage return behind the data": size + b"\r\n" + body + b"\r0\r\n\r\n",
        "nothing behind the data": size + b"\r\n" + body + b"0\r\n\r\n",
        "something behind the data": size + b"\r\n" + body + b"xx\r\n0\r\n\r\n",
        "a blank line between chunks": size + b"\r\n" + body + b"\r\n\r\n0\r\n\r\n",
        "a longer chunk than it says": b"2\r\n" + body + b"\r\n0\r\n\r\n",
        "line feed behind the last size": size + b"\r\n" + body + b"\r\n0\n\r\n",
        "line feed at the end": size + b"\r\n" + body + b"\r\n0\r\n\n",
        "line feeds at the end": size + b"\r\n" + body + b"\r\n0\n\n",
        "carriage returns at the end": size + b"\r\n" + body + b"\r\n0\r\r",
        "a negative last chunk": size + b"\r\n" + body + b"\r\n-0\r\n\r\n",
        "a last chunk in blanks": size + b"\r\n" + body + b"\r\n 0\r\n\r\n",
    }
    for name, framed in ends.items():
        yield form(name, Law.REFUSED, framed)
    for last in (b"00", b"0000000000", b"0;a=b", b"0 "):
        yield form(
            f"last chunk {_shown(last)}", Law.EITHER, size + b"\r\n" + body + b"\r\n" + last + b"\r\n\r\n"
        )


def trailers(about: Around) -> Iterator[Form]:
    """What stands behind the last chunk: dropped where it is a field, refused where it is none."""
    header = b"Transfer-Encoding: chunked\r\n"
    plain = b"%x\r\n%b\r\n0\r\n" % (len(about.body), about.body)
    for line in _listed(
        b"X-A: b|Host: evil|Authorization: Bearer x|X-Forwarded-For: 1|Content-Type: text/html|Trailer: x"
    ):
        data = about.change(header, plain + line + b"\r\n\r\n")
        yield Form(f"trailer {_shown(line)}", data, Law.TAKEN, about.body)
    # What would frame the message (RFC 9110 section 6.5.1): somebody may heed it.
    for line in _listed(
        b"Transfer-Encoding: chunked|Content-Length: 3|Connection: close|connection: keep-alive|Upgrade: h2c"
    ):
        yield Form(f"trailer {_shown(line)}", about.change(header, plain + line + b"\r\n\r\n"), Law.REFUSED)
    for line in _listed(
        b"X-A|: b|X-A : b|X-A: b\r\n c|X-A: b\nX-C: d|X-A: \x00|X-A\x00: b| X-A: b|X-A: b\rc"
    ):
        yield Form(f"trailer {_shown(line)}", about.change(header, plain + line + b"\r\n\r\n"), Law.REFUSED)


def line_ends(about: Around) -> Iterator[Form]:
    """Each CRLF of a head in another spelling, and what stands where no byte belongs."""
    whole = about.read(b"X-A: b\r\n")
    ends = [at for at in range(len(whole)) if whole[at : at + 2] == b"\r\n"]
    for number, at in enumerate(ends):
        for other in _listed(b"\n|\r|\r\r\n|\n\r|\r\n\r|\x0b|\x0c|\x85|\xe2\x80\xa8|\x00|\r\x00\n| "):
            # Without its end a line is the beginning of a longer one.
            longer = other in _listed(b"\x0b|\x0c|\x85|\xe2\x80\xa8| ") and 0 < number < len(ends) - 2
            # Behind its end there is nothing that could be wrong with it.
            behind = number == len(ends) - 1 and other == b"\r\n\r"
            law = Law.EITHER if longer or behind else Law.REFUSED
            yield Form(f"line {number} ends with {_shown(other)}", whole[:at] + other + whole[at + 2 :], law)
    for name, first, law in (
        ("a blank line before", b"\r\n", Law.EITHER),
        ("a line feed before", b"\n", Law.EITHER),
        ("a blank before", b" ", Law.REFUSED),
        ("a NUL before", b"\x00", Law.REFUSED),
        ("a byte order mark before", b"\xef\xbb\xbf", Law.REFUSED),
    ):
        yield Form(name, first + about.read(), law)


def names(about: Around) -> Iterator[Form]:
    """Field names and values that no two readers read alike."""
    for line in (*_listed(b"X-A: b|X-A:b|X-A:|X-A: \t b \t"), b"x!#$%&'*+-.^`|~9: b"):
        yield Form(f"field {_shown(line)}", about.read(line + b"\r\n"), Law.TAKEN)
    for line in _listed(
        b"X-A : b|X-A\t: b| X-A: b|\tX-A: b|: b|X-A|X A: b|X-A\x00: b|X\xe9: b|X_A: b|(X): b|X/A: b"
        b'|X[A]: b|"X": b|X{A}: b|X@A: b|X\\A: b|X<A>: b|X=A: b|X?A: b|X,A: b|X;A: b|X-A\x7f: b'
        b"|X-A: b\x00c|X-A: b\x0bc|X-A: b\x0cc|X-A: b\x1bc|X-A: b\x7fc|X-A: \xe9|X-A: \xe5\xbc\xa0|X-A: b\x01"
        b"|X-A: b\r\n c|X-A: b\r\n\tc|X-A:\r\n b|X-A: b\r\n \r\nX-C: d|X-A: b\nX-C: d|X-A: b\rX-C: d"
    ):
        yield Form(f"field {_shown(line)}", about.read(line + b"\r\n"), Law.REFUSED)


def first_lines(about: Around) -> Iterator[Form]:
    """Request lines."""
    to = about.target
    yield Form("HTTP/1.1", about.read(), Law.TAKEN)
    yield Form("HTTP/1.0", about.read(first=b"GET %b HTTP/1.0\r\n" % to), Law.TAKEN)
    versions = _listed(
        b"HTTP/0.9|HTTP/1.2|HTTP/1.9|HTTP/2.0|HTTP/2|HTTP/3.0|HTTP/1.|HTTP/1|HTTP/11|HTTP/1.10|HTTP/01.1"
        b"|http/1.1|Http/1.1|HTTPS/1.1|HTTP /1.1|HTTP/ 1.1|HTTP/1 .1|HTTP-1.1|ICE/1.0|RTSP/1.0|RTSP/1.1|SIP/2.0|HTTP/1.1 x"
        b"|HTTP/+1.1|HTTP/1.1\x00|HTTP/\xef\xbc\x91.1||1.1|HTTP/1.1\tx|HTTP/1,1"
    )
    for version in versions:
        yield Form(
            f"version {_shown(version)}", about.read(first=b"GET %b %b\r\n" % (to, version)), Law.REFUSED
        )
    split = b"GET %b RTSP/1.0\r\nX-A:  %b HTTP/1.1\r\n" % (to, to)
    yield Form("a version in a field", about.read(first=split), Law.REFUSED)
    yield Form("a blank behind the version", about.read(first=b"GET %b HTTP/1.1 \r\n" % to), Law.REFUSED)
    for line in (
        b"GET  %b HTTP/1.1\r\n",
        b"GET %b  HTTP/1.1\r\n",
        b"GET\t%b HTTP/1.1\r\n",
        b"GET %b\tHTTP/1.1\r\n",
        b"GET\x0b%b HTTP/1.1\r\n",
        b"GET %b HTTP/1.1\r\n\tX: y\r\n",
        b"GET %b\r\n",
        b"GET %b\n",
        b"GET\r\n%b HTTP/1.1\r\n",
        b"GET%b HTTP/1.1\r\n",
    ):
        # Some read past further blanks (RFC 9112 section 3); we need not.
        yield Form(f"first line {_shown(line)}", about.read(first=line % to), Law.REFUSED)
    for method in _listed(
        b"get|Get|G\x00ET|GE(T|GET,|GET/|BREW|XXXXXXXXXXXXXXXXXXXXXXXX|PRI|\xef\xbc\xa7ET||M-SEARCHX|FLUSH|DESCRIBE|SETUP|PLAY"
    ):
        yield Form(
            f"method {_shown(method)}", about.read(first=b"%b %b HTTP/1.1\r\n" % (method, to)), Law.REFUSED
        )


def targets(about: Around) -> Iterator[Form]:
    """Other forms of the target than origin form."""
    to = about.target
    for target in _listed(
        b"http://gate{to}|HTTP://gate{to}|https://gate{to}|http://evil{to}|//gate{to}|http:{to}|http:/{to}|http://{to}"
        b"|gate:80|gate|*|*{to}|?a=b|#|{to}#|{to}#a|{to}?a=b#c|{bare}|\\{bare}|{to}\x00|{to}\x7f|{to}\xe9|{to}\xe9\xbe\x99"
        b'|{to}\xc0\xaf|{to} x|{to}\x0b|{to}"|{to}<|{to}^|{to}`|{to}{|{to}}|{to}\\|{to};a|{to}%2F|{to}%00|{to}/../x|{to}//x|{to}?|/{to}'
        b"|file://{to}|javascript:1|mailto:a@b|http://a@gate{to}|http://gate:99999{to}|http://[::1{to}",
        to=to,
        bare=to[1:],
    ):
        yield Form(f"target {_shown(target)}", about.read(first=b"GET %b HTTP/1.1\r\n" % target), Law.REFUSED)
    others = (
        b"CONNECT gate:443|CONNECT {to}|CONNECT *|CONNECT http://gate{to}|OPTIONS *|OPTIONS http://gate{to}"
    )
    for line in _listed(others, to=to):
        yield Form(f"{_shown(line)}", about.read(first=line + b" HTTP/1.1\r\n"), Law.REFUSED)


def hosts(about: Around) -> Iterator[Form]:
    """Host fields."""
    for value in _listed(b" gate|gate| gate:80| GATE| 127.0.0.1:8080| [::1]:80| a-b.example"):
        yield Form(f"host {_shown(value)}", about.read(host=b"Host:%b\r\n" % value), Law.TAKEN)
    for value in _listed(
        b"| | gate, evil| gate,| gate evil| gate\tevil| a@gate| a:b@gate| gate/| gate/x| http://gate| gate?"
        b"| gate#| gate:| gate:80:80| gate:-1| gate:a| gate:999999| [::1| ::1| [::1]x| [gate]| gate\x00| g\xe9te| \xe9| gate;"
        b'| gate\\| *| "gate"| gate%2e|\r\n gate|\ngate| gate\r\n evil| {long}',
        long=b"x" * 400,
    ):
        yield Form(f"host {_shown(value)}", about.read(host=b"Host:%b\r\n" % value), Law.REFUSED)
    # A name that leads nowhere, and is nobody's to decide by.
    yield Form("host of dots", about.read(host=b"Host: ..\r\n"), Law.EITHER)
    line = b"Host: gate\r\n"
    others = _listed(b"Host: gate|Host: evil|host: gate|Host:|Host : evil|Host\x00: a")
    for host in (b"", b"Host: evil\r\n" + line, *(line + other + b"\r\n" for other in others)):
        yield Form(f"hosts {_shown(host)}", about.read(host=host), Law.REFUSED)
    yield Form(
        "no host in HTTP/1.0", about.read(first=b"GET %b HTTP/1.0\r\n" % about.target, host=b""), Law.REFUSED
    )


def expectations(about: Around) -> Iterator[Form]:
    """Expect, Upgrade and Connection."""
    size = b"Content-Length: %d\r\n" % len(about.body)
    for law, values in (
        (Law.TAKEN, b"100-continue|100-Continue"),
        (Law.EITHER, b"200-ok|100-continue, x||100"),
    ):
        for value in _listed(values):
            data = about.change(size + b"Expect: %b\r\n" % value, about.body)
            yield Form(f"expect {_shown(value)}", data, law, about.body)
    yield Form("expect twice", about.change(size + b"Expect: 100-continue\r\n" * 2, about.body), Law.REFUSED)
    for lines in (
        b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        b"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n",
        b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
        b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
        b"Connection: Upgrade\r\nConnection: close\r\nUpgrade: h2c\r\n",
    ):
        yield Form(f"a body and {_shown(lines)}", about.change(size + lines, about.body), Law.REFUSED)
        yield Form(f"{_shown(lines)}", about.read(lines), Law.REFUSED)
    for lines in (b"Upgrade: h2c\r\n", b"Connection: Upgrade\r\n", b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n"):
        yield Form(f"{_shown(lines)} alone", about.read(lines), Law.EITHER)
    for lines in (b"Connection: host\r\n", b"Connection: close, Host\r\n"):
        yield Form(f"{_shown(lines)}", about.read(lines), Law.REFUSED)
    named = size + b"Connection: content-length\r\n"
    yield Form("a connection that names a length", about.change(named, about.body), Law.REFUSED)
    named = b"Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n"
    yield Form("a connection that names a coding", about.change(named, _chunked(about.body)), Law.REFUSED)


def very_long(about: Around) -> Iterator[Form]:
    """Too much of everything."""
    long = b"a" * 40_000
    yield Form("a long value", about.read(b"X-A: " + long + b"\r\n"), Law.REFUSED)
    yield Form("a long name", about.read(long + b": b\r\n"), Law.REFUSED)
    yield Form("a long line without colon", about.read(long + b"\r\n"), Law.REFUSED)
    yield Form("a long host", about.read(host=b"Host: " + long + b"\r\n"), Law.REFUSED)
    yield Form("many fields", about.read(b"".join(b"X-%d: b\r\n" % n for n in range(200))), Law.REFUSED)
    yield Form("many empty fields", about.read(b"X:\r\n" * 5_000), Law.REFUSED)
    yield Form("many folds", about.read(b"X: a\r\n" + b" b\r\n" * 5_000), Law.REFUSED)
    yield Form(
        "a long target", about.read(first=b"GET %b%b HTTP/1.1\r\n" % (about.target, long)), Law.REFUSED
    )
    yield Form(
        "a long query", about.read(first=b"GET %b?b=%b HTTP/1.1\r\n" % (about.target, long)), Law.REFUSED
    )
    yield Form("a long method", about.read(first=b"%b %b HTTP/1.1\r\n" % (long, about.target)), Law.REFUSED)
    yield Form(
        "a long version", about.read(first=b"GET %b HTTP/1.%b\r\n" % (about.target, long)), Law.REFUSED
    )
    # Counted as they come: in one piece with a request they are as many bytes as one reading takes.
    yield Form("blank lines for long", b"\r\n" * 20_000 + about.read(), Law.EITHER)
    coding = b"Transfer-Encoding: chunked\r\n"
    extended = b"5;" + b"x" * 10_000_000 + b"\r\nhello\r\n0\r\n\r\n"
    yield Form("a long extension", about.change(coding, extended), Law.REFUSED)
    extended = b"".join(b"1;%b\r\nx\r\n" % (b"y" * 60_000) for _ in range(170))
    yield Form("many long extensions", about.change(coding, extended + b"0\r\n\r\n"), Law.REFUSED)
    yield Form("long trailers", about.change(coding, b"0\r\nX-A: " + long + b"\r\n\r\n"), Law.REFUSED)
    yield Form(
        "many trailers", about.change(coding, b"0\r\n" + b"X-A: b\r\n" * 20_000 + b"\r\n"), Law.REFUSED
    )
