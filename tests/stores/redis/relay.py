"""A relay between a client and a server, on a local TCP port, with real sockets and TLS."""

import contextlib
import select
import socket
import threading


class Relay:
    """Passes bytes on to a server's Unix socket; new connections see what was changed.

    Args:
      upstream: the path of the server's socket.
      tls: with which the clients are spoken to; by default there is none.
      pass_on: is given a client's bytes, the server and the client; by default it sends them to the server.
    """

    def __init__(self, upstream, tls=None, pass_on=None):
        self.upstream = str(upstream)
        self.tls = tls
        self.pass_on = pass_on or (lambda data, server, client: server.sendall(data))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = set()
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def port(self):
        return self._listener.getsockname()[1]

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        with self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self.hang_up()
            for thread in self._threads:
                thread.join()

    def hang_up(self):
        """Breaks all connections."""
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        with contextlib.suppress(OSError):  # the listener was shut
            while True:
                client, _ = self._listener.accept()
                self._open.add(client)
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as server, client:
            if self.tls is not None:
                client = self.tls.wrap_socket(client, server_side=True)
                self._open.add(client)  # the bare one is empty now
            with client:
                server.connect(self.upstream)
                self._pump(client, server)

    def _pump(self, client, server):
        while True:
            for ready in select.select([client, server], [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                if ready is client:
                    data += client.recv(65536) if self.tls is not None and client.pending() else b""
                    self.pass_on(data, server, client)
                else:
                    client.sendall(data)
