"""Ports for the brokers of tests and benchmarks."""
import random
import socket


def free_port():
    """A port whose successor is free, too: a Kafka takes both.

    It lies below the ports that the kernel gives to outgoing connections, so nobody takes it while its broker is down:
    a client that tries to come back to a port of that range can even be connected to itself."""
    while True:
        port = random.randrange(12000, 32000, 2)
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
                return port
            except OSError:
                continue
