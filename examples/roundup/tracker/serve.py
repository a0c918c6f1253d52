"""Run by Roundup's own Python: serves one tracker on the loopback address. Arguments: tracker home, port.

Roundup's own server refuses to run as root, as which containers run; its WSGI door does not.
"""

import sys

import waitress
from roundup.cgi.wsgi_handler import RequestDispatcher

if __name__ == "__main__":
    waitress.serve(RequestDispatcher(sys.argv[1]), listen=f"127.0.0.1:{sys.argv[2]}", threads=8, ident=None)
