"""No address from outside makes this server call, or send a browser to, the wrong place.

Every name is answered by a resolver of the test, and every connection is noted before it leaves.
The corpus is also run through an ordinary pool, which connects to nearly all of it.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.forms import modelform_factory
from django.test import RequestFactory

from core import http
from core.encryption import Secret
from inbox.admin.channels import ChannelForm
from inbox.channels import api
from inbox.channels.errors import NotSent
from inbox.models import Channel
from inbox.views.accounts.log_in import LogIn
from orders.models import Store
from shopify_sync.api.errors import NeedsAdmin, Unreachable
from shopify_sync.setup import connect, oauth
from shopify_sync.sync import bulk_file

SECRET: Final = "shpss_1"
PUBLIC: Final = "93.184.216.34"
# The only address this server may connect to in these tests.
ALLOWED: Final = {PUBLIC}
NAMES: Final = {
    "hook.example": [PUBLIC],
    "localhost": ["127.0.0.1", "::1"],
    "internal.example": ["10.0.0.5"],
    "metadata.google.internal": ["169.254.169.254"],
    "both.example": [PUBLIC, "127.0.0.1"],
    "both-the-other-way.example": ["192.168.1.1", PUBLIC],
    "six.example": ["::1"],
    "mapped.example": ["::ffff:169.254.169.254"],
    "unique-local.example": ["fd00::1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "6to4.example": ["2002:7f00:1::"],
    "multicast.example": ["224.0.0.1"],
    "shared.example": ["100.64.0.1"],
}
HOSTS: Final = (
    # IPv4, as getaddrinfo takes it: dotted, decimal, hexadecimal, octal, short.
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1"),
    *("017700000001", "0", "0.0.0.0", "127.255.255.254", "127.0.0.1.", "10.0.0.1", "0x0a000001"),  # noqa: S104
    *("172.16.0.1", "172.31.255.255", "192.168.0.1", "3232235521", "169.254.169.254"),
    *("2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "100.64.0.1", "192.0.0.8", "198.18.0.1"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
    # IPv6: loopback, mapped, compatible, link-local, unique local, NAT64, 6to4, Teredo, multicast.
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
    *("[::ffff:169.254.169.254]", "[::ffff:10.0.0.1]", "[fe80::1]", "[fe80::1%25lo]", "[fc00::1]"),
    *("[fd12:3456::1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]"),
    *("[2002:a9fe:a9fe::]", "[2001:0:7f00:1::]", "[ff02::1]", "[::127.0.0.1]", "[2001:db8::1]"),
    # Names that mean such an address.
    *(name for name in NAMES if name != "hook.example"),
    *("127.0.0.1.nip.io", "10.0.0.5.nip.io", "a.169.254.169.254.nip.io", "7f000001.nip.io"),
    *("LOCALHOST", "localhost.", "LocalHost."),
    # Unicode that means ASCII.
    *("\uff11\uff12\uff17.0.0.1", "127\u30020.0.1", "\u2460\u2461\u2466.0.0.1", "loc\u00adalhost"),
    *("\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54", "127.0.0.1\u200b"),
)
# Whole URLs whose parts could be read in two ways.
URLS: Final = (
    "https://hook.example@127.0.0.1/",
    "https://hook.example:443@127.0.0.1/",
    "https://127.0.0.1@hook.example/",
    "https://hook.example:x@localhost/",
    "https://127.0.0.1#@hook.example/",
    "https://127.0.0.1?@hook.example/",
    "https://127.0.0.1\\@hook.example/",
    "https://hook.example\\@127.0.0.1/",
    "https://hook.example#@127.0.0.1:1/\\@127.0.0.1",
    "https://127.0.0.1:443\t/",
    "https:127.0.0.1/",
    "https:///127.0.0.1/",
    "https:\\\\127.0.0.1\\",
    "//127.0.0.1/",
    "https://",
    "https://[::1",
    "https://[]/",
    "https://hook.example:0/",
    "https://hook.example:99999/",
    "https://127.0.0.1%2f@hook.example/",
    "https://127.0.0.1%00.hook.example/",
    "https://127.0.0.1\r\nHost: hook.example/",
    "http://hook.example/",
    "HTTP://127.0.0.1/",
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "javascript:alert(1)",
    "data:text/plain,x",
    "unix:/var/run/redis.sock",
    "https+unix://%2Fvar%2Frun/x",
    "",
)
CALLBACKS: Final = (*(f"https://{host}/hook" for host in HOSTS), *URLS)
# May connect, and then only to the allowed address.
READ_AS_PUBLIC: Final = {
    "https://hook.example#@127.0.0.1:1/\\@127.0.0.1",
    "https://hook.example\\@127.0.0.1/",
}
SHOPS: Final = (
    *(
        "localhost",
        "127.0.0.1",
        "evil.example",
        "myshopify.com",
        ".myshopify.com",
        "a.b.myshopify.com",
    ),
    *(
        "demo.myshopify.com.evil.example",
        "demo.myshopify.com@evil.example",
        "demo.myshopify.com:80",
    ),
    *(
        "demo.myshopify.com/",
        "demo.myshopify.com/../x",
        "demo.myshopify.com#",
        "demo.myshopify.com?a",
    ),
    *(
        "evil.example/demo.myshopify.com",
        "evil.example#.myshopify.com",
        "evil.example?.myshopify.com",
    ),
    *(
        "demo.myshopify.com\n",
        "\ndemo.myshopify.com",
        "demo.myshopify.com ",
        "demo\u3002myshopify.com",
    ),
    *(
        "d\u0435mo.myshopify.com",
        "-demo.myshopify.com",
        "a" * 63 + ".myshopify.com",
        "demo_.myshopify.com",
    ),
    *(
        "demo.myshopify.co",
        "demo.myshopifyXcom",
        "https://demo.myshopify.com",
        "[::1].myshopify.com",
    ),
)
NEXT: Final = (
    *(
        "https://evil.example/",
        "http://evil.example",
        "//evil.example",
        "///evil.example",
        "////evil.example",
    ),
    *(
        "/\\evil.example",
        "\\\\evil.example",
        "/\\/evil.example",
        "\\/evil.example",
        "http:///evil.example",
    ),
    *("https:evil.example", "http:/evil.example", "javascript:alert(1)", "JaVaScRiPt:alert(1)"),
    *("data:text/html,x", "https://testserver@evil.example/", "https://testserver.evil.example/"),
    *("//testserver@evil.example", "\x08//evil.example", "\t//evil.example", " //evil.example"),
    *(
        "https://evil.example\\@testserver",
        "http://[::1]/",
        "http://[",
        "//evil\u3002example",
        "ftp://testserver/",
    ),
)
BULK: Final = (
    *(
        "http://files.example/x",
        "file:///etc/passwd",
        "ftp://files.example/x",
        "//files.example/x",
        "",
    ),
    *("https://127.0.0.1/x", "https://localhost/x", "https://metadata.google.internal/x"),
    *("https://[::1]/x", "https://both.example/x"),
)


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    sizes = map(len, (CALLBACKS, SHOPS, NEXT, BULK, ANSWERS))
    assert sum(sizes) >= 120
    assert len(set(CALLBACKS)) == len(CALLBACKS)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses this process wanted to connect to; none is really called."""
    wanted: list[str] = []

    def connect(self: socket.socket, address: Any) -> None:
        wanted.append(str(address[0]))
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolver())
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "connect_ex", connect)
    return wanted


def resolver(names: dict[str, list[str]] = NAMES) -> Any:
    """A `getaddrinfo` without the network: our names, nip.io, and what is an address itself."""
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *more: Any, **how: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else str(host)
        text.encode("idna")
        plain = text.lower().rstrip(".")
        found = names.get(plain) or _nip(plain)
        if found is None:
            return real(text, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in found
        ]

    return look_up


def _nip(name: str) -> list[str] | None:
    if not name.endswith(".nip.io"):
        return None
    parts = name.removesuffix(".nip.io").split(".")
    text = (
        ".".join(parts[-4:]) if len(parts) >= 4 else str(ipaddress.ip_address(int(parts[-1], 16)))
    )
    return [text]


def deliver(url: str) -> None:
    api.check_address(url)
    api._post(url, b"{}", {})


@pytest.mark.parametrize("url", CALLBACKS)
def test_a_callback_connects_to_the_public_internet_only(url: str, connections: list[str]) -> None:
    api._pool.cache_clear()
    with pytest.raises(NotSent) as caught:
        deliver(url)
    assert set(connections) <= (ALLOWED if url in READ_AS_PUBLIC else set())
    assert caught.value.is_final or connections or "respond" in str(caught.value)


def test_an_ordinary_pool_would_connect(connections: list[str]) -> None:
    """The control."""
    through = http.pool(connect_s=1, read_s=1)
    for url in CALLBACKS:
        with contextlib.suppress(Exception):
            http.call(through, "POST", url, within_s=1, at_most=1)
    assert len(set(connections) - ALLOWED) > 30


def test_a_callback_that_may_be_called_is_called(connections: list[str]) -> None:
    api._pool.cache_clear()
    with pytest.raises(NotSent) as caught:
        deliver("https://hook.example/hook")
    assert connections == [PUBLIC]
    assert caught.value.is_down


@pytest.mark.filterwarnings("ignore:The default scheme will be changed")
def test_the_admin_refuses_a_callback_that_could_not_be_called() -> None:
    form_class = modelform_factory(Channel, ChannelForm, fields=["callback_url"])
    for url in ("http://hook.example/", "https://a:b@hook.example/"):
        form = form_class({"callback_url": url})
        assert "callback_url" in form.errors
    form = form_class({"callback_url": "https://hook.example/"})
    assert "callback_url" not in form.errors


def test_a_name_that_changes_its_address_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: public when checked, this machine when connected to."""
    asked: list[str] = []
    wanted: list[str] = []

    def look_up(host: Any, port: Any, *more: Any, **how: Any) -> Any:
        if str(host) != "hook.example":
            return resolver()(host, port)
        asked.append(host)
        return resolver({"hook.example": [PUBLIC if len(asked) % 2 else "127.0.0.1"]})(host, port)

    def connect(self: socket.socket, address: Any) -> None:
        wanted.append(address[0])
        raise ConnectionRefusedError

    with monkeypatch.context() as patched:
        real = socket.getaddrinfo
        patched.setattr(socket.socket, "connect", connect)
        patched.setattr(
            socket,
            "getaddrinfo",
            lambda host, port, *a, **k: _once(real, look_up, host, port, a, k),
        )
        through = http.pool(connect_s=1, read_s=1, is_public_only=True)
        for _ in range(4):
            with contextlib.suppress(http.NoAnswer):
                http.call(through, "GET", "https://hook.example/", within_s=1, at_most=1)
        assert set(wanted) == {PUBLIC}
        # The control: look first, connect later.
        wanted.clear()
        asked.clear()
        assert http.is_public(str(socket.getaddrinfo("hook.example", 443)[0][4][0]))
        plain = http.pool(connect_s=1, read_s=1)
        with contextlib.suppress(http.NoAnswer):
            http.call(plain, "GET", "https://hook.example/", within_s=1, at_most=1)
        assert wanted == ["127.0.0.1"]


def _once(real: Any, ours: Any, host: Any, port: Any, more: Any, how: Any) -> Any:
    return ours(host, port) if host == "hook.example" else real(host, port, *more, **how)


@pytest.mark.parametrize("url", BULK)
def test_a_file_is_read_from_the_public_internet_only(url: str, connections: list[str]) -> None:
    bulk_file._pool.cache_clear()
    with pytest.raises((NeedsAdmin, Unreachable)):
        list(bulk_file.orders_in(url, start=0))
    assert connections == []


@pytest.mark.parametrize("shop", SHOPS)
def test_a_shop_is_one_of_shopifys_hosts(shop: str) -> None:
    assert oauth.SHOP.match(shop) is None
    with pytest.raises(ValidationError):
        Store._meta.get_field("domain").run_validators(shop)


@pytest.mark.parametrize("target", NEXT)
def test_a_login_leads_to_our_own_pages_only(target: str, settings: Any) -> None:
    view = LogIn()
    request = RequestFactory().get("/login/", {"next": target})
    request.user = AnonymousUser()
    view.setup(request)
    assert view.get_redirect_url() == ""


def test_shops_and_pages_that_are_ours_are_taken() -> None:
    """The control."""
    assert oauth.SHOP.match("demo.myshopify.com")
    view = LogIn()
    view.setup(RequestFactory().get("/login/", {"next": "/inbox/?q=1#top"}))
    assert view.get_redirect_url() == "/inbox/?q=1#top"


def signed(secret: str = SECRET, **changes: str) -> str:
    """The query of an installation's answer; Shopify signs it like this."""
    given = {
        "code": "c-1",
        "shop": "demo.myshopify.com",
        "state": "s-1",
        "timestamp": str(int(time.time())),
        **changes,
    }
    said = "&".join(f"{name}={given[name]}" for name in sorted(given))
    digest = hmac.new(secret.encode(), said.encode(), sha256).hexdigest()
    return f"{said}&hmac={digest}"


ANSWERS: Final = (
    signed(state="s-2"),
    signed(state=""),
    signed(state="\u017f-1"),
    signed(shop="other.myshopify.com"),
    signed(shop="demo.myshopify.com.evil.example"),
    signed(timestamp="0"),
    signed(timestamp="-5"),
    signed(timestamp="\u0661\u0662"),
    signed(timestamp="9" * 30),
    signed(timestamp=str(int(time.time()) + 9000)),
    signed(secret="shpss_2"),
    signed(code=""),
    signed() + "&state=s-1",
    signed() + "&redirect_uri=https://evil.example/",
    signed().replace("code=c-1", "code=c-2"),
    signed().split("&hmac=")[0],
    "",
)


# Numbered: the time in the first of them would differ between the processes of one run.
@pytest.mark.parametrize("query", ANSWERS, ids=range(len(ANSWERS)))
def test_an_installations_answer_is_believed_only_if_all_of_it_fits(query: str) -> None:
    assert _distrust(query)


def _distrust(query: str) -> str:
    asked = {"state": "s-1", "shop": "demo.myshopify.com", "at": time.time()}
    row: Any = SimpleNamespace(api_secret=Secret(SECRET))
    return oauth._distrust(RequestFactory().get(f"/shopify/callback/?{query}"), asked, row)


def test_the_answer_that_fits_is_believed(settings: Any) -> None:
    """The control; and Shopify sends it to PUBLIC_URL, whatever the request's host was."""
    assert _distrust(signed()) == ""
    settings.PUBLIC_URL = "https://desk.example"
    assert connect.callback_address().startswith("https://desk.example/")


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.heard.append(self.headers["Host"])  # type: ignore[attr-defined]
        self.send_response(302)
        self.send_header("Location", "https://127.0.0.1/admin/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


def certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@contextlib.contextmanager
def hook(folder: Path, name: str) -> Iterator[Any]:
    """A real https server with a certificate for this name."""
    server = HTTPServer(("127.0.0.1", 0), _Hook)
    server.heard, server.names = [], []  # type: ignore[attr-defined]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder, name))
    context.sni_callback = lambda _sock, sni, _context: server.names.append(sni)  # type: ignore[attr-defined]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_pinned_connection_is_still_one_to_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SNI, certificate and Host are the name's; a redirect is an answer, not an order."""
    real = socket.socket.connect
    wanted: list[str] = []

    def connect(self: socket.socket, address: Any) -> None:
        wanted.append(address[0])
        real(self, ("127.0.0.1", address[1]))

    with hook(tmp_path, "hook.example") as good, hook(tmp_path, "other.example") as bad:
        monkeypatch.setattr(socket, "getaddrinfo", resolver())
        monkeypatch.setattr(socket.socket, "connect", connect)
        files = {
            server: http.pool(
                connect_s=5, read_s=5, is_public_only=True, ca_certs=str(tmp_path / f"{name}.pem")
            )
            for server, name in ((good, "hook.example"), (bad, "other.example"))
        }
        for server, through in files.items():
            url = f"https://hook.example:{server.server_port}/hook"
            with contextlib.suppress(http.NoAnswer):
                answer = http.call(through, "POST", url, body=b"{}", within_s=10, at_most=100)
        assert answer.status == 302
        assert good.heard == [f"hook.example:{good.server_port}"]
        assert (good.names, bad.heard) == (["hook.example"], [])
        assert set(wanted) == {PUBLIC}
