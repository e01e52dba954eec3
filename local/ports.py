"""Ports of this machine: which are free, and which are taken."""

import socket

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody uses now, chosen by the system.

    For a minute nobody is given it by chance: a connection that its listener's side has closed leaves it in TIME_WAIT, where the
    system neither chooses it nor uses it for connections of others, while a server that names it may listen there.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, 0))
        listener.listen(1)
        port: int = listener.getsockname()[1]
        with socket.create_connection((HOST, port)):
            listener.accept()[0].close()
        return port


def is_taken(port: int) -> bool:
    """Whether somebody listens on the port, on IPv4 or IPv6."""
    return _answers(socket.AF_INET, HOST, port) or _answers(socket.AF_INET6, "::1", port) or not _can_listen(port)


def answers(port: int) -> bool:
    return _answers(socket.AF_INET, HOST, port)


def _answers(family: socket.AddressFamily, host: str, port: int) -> bool:
    try:
        with socket.socket(family) as client:
            client.settimeout(1.0)
            return client.connect_ex((host, port)) == 0
    except OSError:
        return False  # this machine has no IPv6


def _can_listen(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True
