"""Listening: a port, a thread for each connection, and TLS if asked for."""

import socket
import socketserver
import ssl
import threading

from connection import Connection, MalformedRequest

TLS_HANDSHAKE = b"\x16"  # the first byte of every TLS client


class _ConnectionHandler(socketserver.BaseRequestHandler):
    """Carries the requests of one connection to the server's application, in turn."""

    def handle(self):
        application = self.server.application
        number = application.connection_opened()
        try:
            self._serve(application, number)
        except OSError:
            pass  # the client went away, or failed its handshake: that is its own affair
        finally:
            application.connection_closed(number)

    def _serve(self, application, number):
        sock, is_plain_on_tls = self.request, False
        if self.server.tls_context:
            # A control path is reached in plain HTTP on a TLS port too: a test that reads
            # the counters should not need a TLS client of its own.
            is_plain_on_tls = sock.recv(1, socket.MSG_PEEK) != TLS_HANDSHAKE
            if not is_plain_on_tls:
                sock = self.server.tls_context.wrap_socket(sock, server_side=True)
        connection = Connection(sock, number)
        try:
            while connection.open and (request := connection.read_head()):
                application.serve(connection, request, is_plain_on_tls)
                if connection.open and _wants_close(request):
                    connection.finish()
        except MalformedRequest as error:
            connection.reply(application.malformed(connection, error))
            connection.linger()
        finally:
            connection.close()


def _wants_close(request):
    return request.version == "HTTP/1.0" or "close" in request.all_values("connection")


class Server(socketserver.ThreadingTCPServer):
    """A listening port; it accepts from the moment it is made, and answers from start()."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, host, port, application, tls_context=None):
        self.application = application
        self.tls_context = tls_context
        super().__init__((host, port), _ConnectionHandler)
        self.port = self.server_address[1]

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()


def server_tls_context(certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server_file, certificates.server_key_file)
    return context
