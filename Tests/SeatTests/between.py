"""Somebody between a seat and its appliance, with a key of their own: what one says in TLS is passed on to the other in TLS, as it is.

between.py FOLDER HOST PORT: serves on a free loopback port, written to FOLDER/port, with FOLDER/key.pem and cert.pem, and ends when its input does.
"""
import os
import socket
import socketserver
import ssl
import sys
import threading

folder, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])


def pass_on(source, target):
    try:
        while data := source.recv(16384):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Connection(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            near = serving.wrap_socket(self.request, server_side=True)
            far = asking.wrap_socket(socket.create_connection((host, port), 10))
            far.settimeout(None)
        except OSError:
            return
        back = threading.Thread(target=pass_on, args=(far, near), daemon=True)
        back.start()
        pass_on(near, far)
        back.join()


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
serving.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
asking.check_hostname = False
asking.verify_mode = ssl.CERT_NONE
with Server(("127.0.0.1", 0), Connection) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(os.path.join(folder, "port.new"), "w") as file:
        file.write(str(server.server_address[1]))
    os.rename(os.path.join(folder, "port.new"), os.path.join(folder, "port"))
    sys.stdin.read()
