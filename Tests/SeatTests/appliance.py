"""An appliance that answers anything it is told to, byte by byte: for answers that a sound one never gives.

appliance.py FOLDER [PORT]: serves HTTPS on a loopback port, a free one unless told, written to FOLDER/port, with FOLDER/key.pem and cert.pem. A request for
/api/v1/seat/claim is answered with the raw bytes in FOLDER/claim (likewise enrol, end, health; FOLDER/claim.1 is used once, before). Requests are noted
in FOLDER/requests. The event stream sends FOLDER/events and whatever is appended to it.
"""
import os
import socketserver
import ssl
import sys
import time

folder = sys.argv[1]


def at(name):
    return os.path.join(folder, name)


class Connection(socketserver.StreamRequestHandler):
    timeout = 30

    def handle(self):
        try:
            self.answer()
        except (OSError, ssl.SSLError, ValueError):
            pass

    def answer(self):
        self.connection.do_handshake()
        first = self.rfile.readline(4096).decode("latin-1").split()
        headers = {}
        while (line := self.rfile.readline(8192).strip()):
            key, _, value = line.decode("latin-1").partition(":")
            headers[key.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0))).decode("latin-1")
        with open(at("requests"), "a") as note:
            note.write(f"{first[0]} {first[1]} [{headers.get('authorization', '')}] {body}\n")
        kind = first[1].rsplit("/", 1)[1]
        if kind == "events":
            self.stream()
            return
        once = at(kind + ".1")
        if os.path.exists(once):
            os.rename(once, at(kind + ".used"))
            kind += ".used"
        with open(at(kind), "rb") as raw:
            self.wfile.write(raw.read())

    def stream(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        self.connection.settimeout(0.02)
        with open(at("events"), "rb") as events:
            while True:
                new = events.read()
                if new:
                    self.connection.settimeout(10)
                    self.wfile.write(new)
                    self.connection.settimeout(0.02)
                try:
                    if not self.connection.recv(1):
                        return
                except TimeoutError:
                    time.sleep(0.02)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def get_request(self):
        plain, address = super().get_request()
        return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(at("cert.pem"), at("key.pem"))
with Server(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 0), Connection) as server:
    with open(at("port.new"), "w") as port:
        port.write(str(server.server_address[1]))
    os.rename(at("port.new"), at("port"))
    server.serve_forever()
