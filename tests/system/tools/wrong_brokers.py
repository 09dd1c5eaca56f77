"""What is no broker, and a broker that wants a password: one clear sentence, what to do next, the right exit code."""
import concurrent.futures
import json
import socket
import ssl
import threading

from tool_kit import expect, millrace, same


class Impostor:
    """Something else on a port: `answer` gets each connection."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self.address

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # closed: the test is over
            threading.Thread(target=self.speak, args=(connection,), daemon=True).start()

    def speak(self, connection):
        with connection:
            try:
                self.answer(connection)
            except (OSError, ssl.SSLError):
                pass


def http(connection):
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def tls(connection):
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_socket(connection, server_side=True)


def tls_alert(connection):
    connection.recv(4096)
    connection.sendall(b"\x15\x03\x01\x00\x02\x02\x46")  # fatal: protocol version


def silence(connection):
    while connection.recv(4096):
        pass


def noise(connection):
    connection.recv(4096)
    connection.sendall(bytes(range(255, 100, -1)))


def test_impostors():
    with concurrent.futures.ThreadPoolExecutor(10) as pool:  # each takes its time to be found out
        tries = []
        for answer, wanted in ((http, "an HTTP server answers there, no Kafka broker"), (tls, "it may want TLS"),
                               (tls_alert, "it may want TLS"), (noise, "what answers there is no Kafka broker"), (silence, "")):
            tries += [pool.submit(meet, answer, wanted, verb) for verb in (["topic", "list"], ["produce", "t"])]
        for one in tries:
            one.result()


def meet(answer, wanted, verb):
    with Impostor(answer) as address:
        failed = millrace(*verb, "-b", address, "--timeout", 2, "--json", code=1, stdin="x\n")
        told = json.loads(failed.err)["error"]
        expect(f"cannot reach a broker at {address}" in told["message"] and wanted in told["message"], f"{answer.__name__}: {told}")
        expect(told["advice"], f"no advice: {told}")


PASSWORD = "a-secret"


def sasl_settings(port, sasl_port, controller_port):
    """A Kafka's settings for a second listener, where everybody has to say who he is."""
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
    listeners = f"PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl_port}"
    return [f"listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}", f"advertised.listeners={listeners}",
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
            "sasl.enabled.mechanisms=PLAIN",
            f'listener.name.sasl_plaintext.plain.sasl.jaas.config={plain} required user_alice="{PASSWORD}";']


def test_passwords(b):
    def run(*arguments, password=PASSWORD, protocol="sasl_plaintext", **more):
        words = ["-X", f"security.protocol={protocol}"]
        if protocol.startswith("sasl"):
            words += ["-X", "sasl.mechanisms=PLAIN", "-X", "sasl.username=alice", "-X", f"sasl.password={password}"]
        return millrace(*arguments, *words, bootstrap=b.sasl_bootstrap, **more)
    run("topic", "create", "guarded")
    run("produce", "guarded", stdin="inside\n")
    same(run("consume", "guarded", "-e", "-g", "guards").out, "inside\n", "consumed")
    expect("guards" in run("group", "list").out, "a group")
    same(run("group", "describe", "guards", "--json").json()[0]["lag"], 0, "its lag")
    for verb in (["topic", "list"], ["produce", "guarded"], ["consume", "guarded", "-e"], ["group", "list"], ["top", "--once"],
                 ["bench", "produce", "-n", 1]):
        failed = run(*verb, password="guessed", code=1, stdin="x\n").err
        expect("uthentication failed" in failed and "Check user and password" in failed, f"{verb}: {failed}")
    same(json.loads(run("topic", "list", "--json", password="guessed", code=1).err)["error"]["code"], "SASL_AUTHENTICATION_FAILED", "code")
    unsaid = run("topic", "list", "--timeout", 5, protocol="plaintext", code=1).err
    expect("cannot reach a broker" in unsaid and "SASL" in unsaid, unsaid)
    tls = run("topic", "list", "--timeout", 5, protocol="ssl", code=1).err
    expect("SSL" in tls and "check the port" in tls, tls)


TESTS_OFFLINE = [test_impostors]
