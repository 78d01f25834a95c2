"""Requests to addresses that others have chosen: where they never lead, and how little a receiver can do to us."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time

import pytest

from app import outgoing
from app.errors import Refused
from app.models import Outcome
from tests.receiving import receiver

HOSTILE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a9fe:a9fe", "fe80::1",
    "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1", "64:ff9b::7f00:1",
    "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "::127.0.0.1", "nonsense",
]  # fmt: skip


@pytest.fixture
def post(app):
    with receiver() as listening:
        yield listening


def answers(monkeypatch, *addresses):
    """What the name server says from now on; how often it is asked is counted."""
    asked, real = [], socket.getaddrinfo

    def lookup(host, port, *args, **kwargs):
        if host in addresses or host == "127.0.0.1":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


@pytest.mark.parametrize("address", HOSTILE)
def test_addresses_that_are_not_of_the_public_internet(address):
    assert not outgoing.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a01:4f8::1"])
def test_addresses_of_the_public_internet(address):
    assert outgoing.is_public(address)


@pytest.mark.parametrize("address", [a for a in HOSTILE if a != "nonsense"])
def test_a_name_that_leads_inside_is_never_called(app, monkeypatch, address):
    answers(monkeypatch, address)
    monkeypatch.setattr(socket, "create_connection", lambda *_a, **_k: pytest.fail("it was called"))

    assert outgoing.post("https://evil.example/", b"{}", {}).outcome is Outcome.INTERNAL


def test_one_inner_address_among_others_is_enough_to_refuse(app, monkeypatch):
    answers(monkeypatch, "93.184.216.34", "10.0.0.1")
    monkeypatch.setattr(socket, "create_connection", lambda *_a, **_k: pytest.fail("it was called"))

    assert outgoing.post("https://evil.example/", b"{}", {}).outcome is Outcome.INTERNAL


def test_the_connection_is_made_to_the_very_address_that_was_looked_at(app, monkeypatch):
    """A name that answers otherwise the second time is not asked a second time."""
    reached = []
    asked = answers(monkeypatch, "93.184.216.34")

    def connect(address, **_how):
        reached.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    answer = outgoing.post("https://changing.example/", b"{}", {})

    assert (reached, asked) == ([("93.184.216.34", 443)], ["changing.example"])
    assert answer.outcome is Outcome.UNREACHABLE


def test_each_try_looks_again(app, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_a, **_k: (_ for _ in ()).throw(ConnectionRefusedError()))
    answers(monkeypatch, "93.184.216.34")
    assert outgoing.post("https://changing.example/", b"{}", {}).outcome is Outcome.UNREACHABLE

    answers(monkeypatch, "127.0.0.1")
    assert outgoing.post("https://changing.example/", b"{}", {}).outcome is Outcome.INTERNAL


def test_a_redirect_is_an_answer_like_others(post):
    with receiver() as other:
        post.code, post.headers = 307, {"Location": other.url}
        answer = outgoing.post(post.url, b"{}", {})

        assert (answer.outcome, answer.code, other.got) == (Outcome.REFUSED, 307, [])


def test_no_proxy_of_the_environment_is_asked(post, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert outgoing.post(post.url, b"{}", {}).code == 200


def test_of_an_answer_only_the_beginning_is_read(post):
    post.answer = b"x" * 5_000_000

    assert outgoing.post(post.url, b"{}", {}).text == "x" * outgoing.KEPT


def test_what_cannot_be_read_is_left_out(post):
    post.answer = b"ok\x00\x1b[2J\xff\xfe"

    text = outgoing.post(post.url, b"{}", {}).text
    assert text.startswith("ok") and text.isprintable()


def listening(script):
    """Somebody who takes the connection and does with it what the script says."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        with server, server.accept()[0] as connection:
            script(connection)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://localhost:{server.getsockname()[1]}/"


def heard(connection):
    """All of the request: hanging up before that would be another answer."""
    got = b""
    while not got.endswith(b"{}"):
        got += connection.recv(65536)


def trickle(connection):
    heard(connection)
    for _byte in range(200):
        try:
            connection.sendall(b"H")
        except OSError:
            return
        time.sleep(0.05)


def silence(connection):
    heard(connection)
    time.sleep(3)


@pytest.mark.parametrize("script", [trickle, silence])
def test_nobody_holds_a_worker_for_long(app, monkeypatch, script):
    monkeypatch.setattr(outgoing, "PATIENCE", 0.5)
    monkeypatch.setitem(app.config, "WEBHOOK_HOSTS", frozenset({"localhost"}))
    begun = time.monotonic()

    answer = outgoing.post(listening(script), b"{}", {})

    assert answer.outcome is Outcome.TIMEOUT
    assert time.monotonic() - begun < 2.5


def test_a_name_server_that_never_answers_holds_nobody(app, monkeypatch):
    monkeypatch.setattr(outgoing, "LOOKUP", 0.2)
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: answered.wait(10))
    begun = time.monotonic()

    answer = outgoing.post("https://slow.example/", b"{}", {})
    answered.set()

    assert answer.outcome is Outcome.TIMEOUT
    assert time.monotonic() - begun < 2


def test_a_name_nobody_knows_is_not_reached(app, monkeypatch):
    def unknown(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert outgoing.post("https://nobody.example/", b"{}", {}).outcome is Outcome.UNREACHABLE


NO_HTTP = [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 " + b"x" * 99999]


@pytest.mark.parametrize("said", NO_HTTP)
def test_whoever_speaks_no_http_is_not_reached(app, monkeypatch, said):
    monkeypatch.setitem(app.config, "WEBHOOK_HOSTS", frozenset({"localhost"}))

    def answer(connection):
        heard(connection)
        connection.sendall(said)

    assert outgoing.post(listening(answer), b"{}", {}).outcome is Outcome.UNREACHABLE


def test_a_certificate_nobody_vouches_for_is_refused(app, monkeypatch, tmp_path):
    url = _under_tls(tmp_path, listening)
    monkeypatch.setitem(app.config, "WEBHOOK_HOSTS", frozenset({"localhost"}))

    assert outgoing.post(url, b"{}", {}).outcome is Outcome.INSECURE


def test_under_tls_the_name_is_checked_and_not_the_address(app, monkeypatch, tmp_path):
    """The certificate is vouched for, and of localhost: as that it is reached, under another name it is not."""
    monkeypatch.setitem(app.config, "WEBHOOK_HOSTS", frozenset({"localhost", "other.example"}))
    real = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: real(cafile=str(tmp_path / "own.pem")))
    assert outgoing.post(_under_tls(tmp_path, listening), b"{}", {}).code == 200

    answers(monkeypatch, "127.0.0.1")
    url = _under_tls(tmp_path, listening).replace("localhost", "other.example")
    assert outgoing.post(url, b"{}", {}).outcome is Outcome.INSECURE


def _under_tls(place, listen):
    own = place / "own.pem"
    if not own.exists():
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", own, "-out", place / "cert.pem",
             "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
            check=True, capture_output=True,
        )  # fmt: skip
        own.write_bytes(own.read_bytes() + (place / "cert.pem").read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)

    def answer(connection):
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                heard(secured)
                secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except OSError:
            pass

    return listen(answer).replace("http:", "https:")


# --- what is kept as an address ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed, kept",
    [
        ("https://ERP.example.com", "https://erp.example.com/"),
        (" https://erp.example.com:443/a?b=c ", "https://erp.example.com/a?b=c"),
        ("https://erp.example.com:8443/a#part", "https://erp.example.com:8443/a"),
        ("https://küste.example/bücher lesen", "https://xn--kste-0ra.example/b%C3%BCcher%20lesen"),
        ("https://erp.example.com/a%20b", "https://erp.example.com/a%20b"),
    ],
)
def test_an_address_is_kept_as_it_is_called(app, typed, kept):
    assert outgoing.accepted(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "", "erp.example.com", "http://erp.example.com/", "ftp://erp.example.com/", "file:///etc/passwd",
        "https://localhost/", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://127.1/",
        "https://user:password@erp.example.com/", "https://erp/", "https://erp.example.com:99999/",
        "https://erp.example.com:x/", "https:///path", "https://erp.example.com\r\nX-Evil: 1/",
        "https://erp.example.com/" + "x" * 500, "javascript:alert(1)", "https://erp.example.com:0/",
    ],
)  # fmt: skip
def test_what_is_not_to_be_called_is_said_at_the_field(app, typed):
    with pytest.raises(Refused) as refused:
        outgoing.accepted(typed)

    assert refused.value.field == "url"


def test_hosts_that_whoever_runs_kontor_trusts_may_be_called_without_tls(app, monkeypatch):
    monkeypatch.setitem(app.config, "WEBHOOK_HOSTS", frozenset({"erp.intern", "localhost"}))

    assert outgoing.accepted("http://localhost:9000/x") == "http://localhost:9000/x"
    assert outgoing.accepted("http://ERP.intern") == "http://erp.intern/"
    with pytest.raises(Refused):
        outgoing.accepted("http://other.intern/")
