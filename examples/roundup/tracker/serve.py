"""Run by Roundup's own Python: serves one tracker on the loopback address. Arguments: tracker home, port.

Roundup's own server refuses to run as root, as which containers run; its WSGI door does not. Ends when standard input does: then
whoever started it is gone, however that came.
"""

import os
import sys
import threading

import waitress
from roundup.cgi.wsgi_handler import RequestDispatcher


def end_with_the_starter() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_the_starter, daemon=True).start()
    waitress.serve(RequestDispatcher(sys.argv[1]), listen=f"127.0.0.1:{sys.argv[2]}", threads=8, ident=None)
