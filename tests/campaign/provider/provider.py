"""A real OpenID provider in a process of its own, and a person who signs in there with a browser's few moves."""

from __future__ import annotations

import base64
import hashlib
import http.cookiejar
import json
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from joserfc.jwk import ECKey

from tests.campaign.serving import ROOT
from tests.certificates import Authority, Files

HERE = Path(__file__).parent
PACKAGES = ROOT / "var" / "provider"
LOCK = ROOT / "locks" / "provider"
RESOURCE = "https://gatehouse.example/"
BACK = "https://desk.example/back"


def absent() -> str | None:
    """Gives what is missing for it, None where all is there."""
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            return f"{name} is not here"
    return None


def install() -> None:
    """Installs what the lock names, once for each lock, without running anything of it."""
    here, there = PACKAGES / "package-lock.json", LOCK / "package-lock.json"
    if (PACKAGES / "node_modules").is_dir() and here.exists() and here.read_bytes() == there.read_bytes():
        return
    PACKAGES.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCK / name, PACKAGES)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=PACKAGES, check=True, timeout=300)


class _Stays(HTTPRedirectHandler):
    """Follows nothing by itself: each answer is looked at."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Provider:
    """The provider. keys: what it signs with, the first; the others are published beside it."""

    folder: Path
    authority: Authority
    keys: list[ECKey]
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    port: int = 0
    process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.pair: Files = self.authority.issue("127.0.0.1", label="provider")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @property
    def issuer(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it; returns when it listens."""
        wanted = {
            "issuer": self.issuer,
            "port": self.port,
            "secret": self.secret,
            "back": BACK,
            "keys": [{**key.as_dict(private=True), "kid": key.thumbprint(), "use": "sig", "alg": "ES256"} for key in self.keys],
            "certificate": str(self.pair.certificate),
            "key": str(self.pair.key),
        }  # fmt: skip
        (self.folder / "provider.json").write_text(json.dumps(wanted))
        with (self.folder / "provider.errors").open("a") as errors:
            self.process = subprocess.Popen(
                ["node", str(HERE / "provider.mjs"), str(self.folder), str(PACKAGES)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        late = threading.Timer(60, self.process.kill)
        late.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        late.cancel()
        assert line == "listening\n", (self.folder / "provider.errors").read_text()[-2000:]

    def stop(self) -> None:
        """Ends it, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def sign_in(self, person: str) -> str:
        """Gives the access token that the application gets when this person signs in and agrees."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        opener = build_opener(
            HTTPSHandler(context=context), HTTPCookieProcessor(http.cookiejar.CookieJar()), _Stays()
        )

        def asked(url: str, form: dict[str, str] | None = None, **headers: str) -> tuple[str, str]:
            """(where it leads, what it says)."""
            data = None if form is None else urlencode(form).encode()
            try:
                answer = opener.open(Request(url, data, headers), timeout=30)
            except HTTPError as error:
                answer = error
            return urljoin(url, answer.headers.get("location", "")), answer.read().decode()

        verifier = secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asks = {
            "client_id": "desk",
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": "openid read",
            "resource": RESOURCE,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        at, _ = asked(f"{self.issuer}/auth?{urlencode(asks)}")
        for _ in range(8):  # sign in, agree, and what leads from one to the next
            if at.startswith(BACK):
                break
            if "/interaction/" in at:
                _, page = asked(at)
                prompt = re.search(r'name="prompt" value="(\w+)"', page)
                assert prompt is not None, page[:500]
                at, _ = asked(at, {"prompt": prompt[1], "login": person, "password": "any"})
            else:
                at, _ = asked(at)
        assert at.startswith(BACK), at
        code = parse_qs(urlsplit(at).query)["code"][0]
        basic = base64.b64encode(f"desk:{self.secret}".encode()).decode()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": verifier,
            "resource": RESOURCE,
        }
        _, said = asked(f"{self.issuer}/token", form, authorization=f"Basic {basic}")
        return str(json.loads(said)["access_token"])
