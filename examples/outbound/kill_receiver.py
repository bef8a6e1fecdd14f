"""A bot's side of kills: a small web server that obeys signed orders once and remembers them over a crash.

MIDAS_SECRET_DESK=... python examples/outbound/kill_receiver.py           listen on 127.0.0.1:8900
python examples/outbound/kill_receiver.py --try                           give it one kill, twice, and end
"""

import json
import os
import sys
import tempfile
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from midas_engine.clock import WallClock
from midas_engine.outbound import OrderReceiver
from midas_engine.outbound.order import Order
from midas_engine.outbound.signing import headers

trying = "--try" in sys.argv
secret = os.environ.get("MIDAS_SECRET_DESK") or ("only for the trial 0123456789" if trying else sys.exit("no secret"))
folder = Path(tempfile.mkdtemp()) if trying else Path()
lock = threading.Lock()


def obey(order):
    """Yours: cancel the orders of this feature, close or keep its position. May come again after a crash."""
    print(order.action, order.feature, "because", order.reason or "it was asked for")


def lease_ended():
    """Yours: no new entries (hold), or close everything (flatten). Called once; the next heartbeat ends it."""
    print("no heartbeat: no new entries from here on")


receiver = OrderReceiver(secret, folder / "received.log", obey, WallClock(), lease_ended)


class Door(BaseHTTPRequestHandler):
    """One request, one answer."""

    timeout = 5

    def do_POST(self):
        """Hand headers and body to the receiver."""
        size = min(int(self.headers.get("Content-Length", 0)), 1_000_001)
        with lock:
            status, answer = receiver.receive(dict(self.headers), self.rfile.read(size))
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args):
        """Quiet."""


server = ThreadingHTTPServer(("127.0.0.1", 0 if trying else 8900), Door)
if not trying:
    server.timeout = 1.0
    while True:
        server.handle_request()
        receiver.check_lease()

threading.Thread(target=server.serve_forever, daemon=True).start()
body = json.dumps(Order("id-1", 1, "kill", "carry", reason="its IC is gone").document("desk")).encode()
for nonce in ("first", "again"):  # the second time it is acknowledged, and not obeyed again
    stamp = str(WallClock().now().timestamp())
    url = f"http://127.0.0.1:{server.server_port}"
    request = urllib.request.Request(url, body, headers(secret, stamp, nonce, "id-1", body))
    print(json.loads(urllib.request.urlopen(request, timeout=5).read())["acknowledged"])
print("stopped:", sorted(receiver.stopped))
server.shutdown()
