#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A hypervisor made of nothing but HTTPS and a dictionary, for the driver of web.c.

    web.py CERTIFICATE KEY     prints "listening PORT" and ends with its standard input

All sessions have ended when the file `ended` in the working directory has grown."""
import http.server
import json
import os
import ssl
import sys
import threading
from urllib.parse import parse_qs, urlsplit

TOKEN = "web-token-0123456789"
vms, lock, numbers = [], threading.Lock(), iter(range(1, 1 << 30))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def serve(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        session = f"s{os.path.getsize('ended') if os.path.exists('ended') else 0}"
        login = url.path == "/login"
        if self.headers.get("Authorization") != (f"Bearer {TOKEN}" if login else f"Session {session}"):
            return self.answer(401, {"error": "who are you?"})
        if login:
            return self.answer(200, {"session": session})
        words = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        with lock:
            return self.answer(*act(self.command, url.path, words))

    do_GET = do_POST = do_DELETE = serve


def act(method, path, words):
    name = words.get("name")
    found = [vm for vm in vms if vm["name"] == name and words.get("id", vm["id"]) == vm["id"]]
    if path == "/list":
        limit = int(words.get("limit", 1 << 30))
        return 200, {"vms": [vm for vm in vms if vm["name"].startswith(words["prefix"])][:limit]}
    if method == "POST" and path == "/vm":
        if found and "force" not in words:
            return 409, {"error": f"there is a VM {name}"}
        vms.append({"name": name, "id": str(next(numbers)), "state": 1})
        return 200, vms[-1]
    if method == "DELETE":
        for vm in found if "all" not in words else [vm for vm in vms if vm["name"].startswith(name)]:
            vms.remove(vm)
        return 200, {}
    if not found:
        return 404, {"error": f"there is no VM {name}"}
    if method == "POST":
        found[0]["state"] = int(words["state"])
    return 200, found[0]


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):  # connections break here all the time
        pass


def main():
    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("listening", server.server_port, flush=True)
    sys.stdin.read()


main()
