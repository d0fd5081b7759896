"""Which certificates the gateway takes, what it says of others, and how it follows a renewal."""

import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from prometheus_client import REGISTRY
from structlog.typing import EventDict

from services.gateway.edge.certificate import BadCertificate, Certificate, certificate_of
from tests.support.certificates import Authority, Issued, encoded_key


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def issued(authority: Authority) -> Issued:
    return authority.issue()


def served_by(context: ssl.SSLContext, authority: Authority) -> bytes:
    """Return the certificate that a client gets from a server with this context, in DER; no sockets are used."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = authority.client_context.wrap_bio(to_client, to_server, server_hostname="localhost")
    waiting = [client, server]
    while waiting:
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    der = client.getpeercert(binary_form=True)
    assert der is not None
    return der


def der_of(cert: Path) -> bytes:
    return load_pem_x509_certificate(cert.read_bytes()).public_bytes(Encoding.DER)


def test_a_certificate_with_its_chain_is_served(authority: Authority, issued: Issued) -> None:
    certificate = certificate_of(issued.cert, issued.key)

    assert certificate is not None
    assert served_by(certificate.context, authority) == der_of(issued.cert)
    expires = REGISTRY.get_sample_value("tidepool_certificate_expiry_timestamp_seconds")
    assert expires == load_pem_x509_certificate(issued.cert.read_bytes()).not_valid_after_utc.timestamp()


def test_certificate_and_key_may_be_in_one_file(authority: Authority, issued: Issued) -> None:
    issued.cert.write_bytes(issued.key.read_bytes() + issued.cert.read_bytes())

    certificate = Certificate(issued.cert, issued.cert)

    assert served_by(certificate.context, authority) == der_of(issued.cert)


def test_without_the_settings_there_is_no_tls() -> None:
    assert certificate_of(None, None) is None


def test_one_setting_needs_the_other(issued: Issued) -> None:
    with pytest.raises(BadCertificate, match=r"^TIDEPOOL_TLS_KEY is not set. Set both .* or neither for HTTP.$"):
        certificate_of(issued.cert, None)
    with pytest.raises(BadCertificate, match=r"^TIDEPOOL_TLS_CERT is not set."):
        certificate_of(None, issued.key)


def _swap(issued: Issued) -> None:
    cert = issued.cert.read_bytes()
    issued.cert.write_bytes(issued.key.read_bytes())
    issued.key.write_bytes(cert)


def _encrypt(issued: Issued) -> None:
    key = load_pem_private_key(issued.key.read_bytes(), None)
    issued.key.write_bytes(encoded_key(key, b"secret"))


def _another_key(make: Callable[[], object]) -> Callable[[Issued], None]:
    return lambda issued: issued.key.write_bytes(encoded_key(make()))  # type: ignore[arg-type]


def _reverse_the_chain(issued: Issued) -> None:
    begin = b"-----BEGIN CERTIFICATE-----"
    issued.cert.write_bytes(b"".join(begin + part for part in reversed(issued.cert.read_bytes().split(begin)[1:])))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda issued: issued.cert.unlink(), r"TIDEPOOL_TLS_CERT is .*server.pem, which does not exist"),
        (lambda issued: issued.key.unlink(), r"TIDEPOOL_TLS_KEY is .*server.key, which does not exist"),
        (lambda issued: (issued.key.unlink(), issued.key.mkdir()), r"TIDEPOOL_TLS_KEY is .* cannot be read: Is a dir"),
        (lambda issued: issued.cert.write_bytes(b""), "TIDEPOOL_TLS_CERT has no certificate in PEM format"),
        (lambda issued: issued.key.write_bytes(b""), "TIDEPOOL_TLS_KEY has no private key in PEM format"),
        (lambda issued: issued.cert.write_bytes(der_of(issued.cert)), "TIDEPOOL_TLS_CERT has no certificate in PEM"),
        (
            lambda issued: issued.cert.write_bytes(issued.cert.read_bytes().replace(b"MII", b"AII")),
            "TIDEPOOL_TLS_CERT has no certificate in PEM",
        ),
        (_swap, "TIDEPOOL_TLS_CERT has no certificate in PEM"),
        (_encrypt, "TIDEPOOL_TLS_KEY is encrypted. Store the key without a passphrase"),
        (_another_key(lambda: ec.generate_private_key(ec.SECP256R1())), "TIDEPOOL_TLS_KEY is not the key of the cert"),
        (_another_key(lambda: rsa.generate_private_key(65537, 2048)), "TIDEPOOL_TLS_KEY is not the key of the cert"),
        (_another_key(ed25519.Ed25519PrivateKey.generate), "TIDEPOOL_TLS_KEY is not the key of the cert"),
        (_reverse_the_chain, "the server's certificate comes first"),
    ],
)
def test_files_that_cannot_be_used_are_refused(issued: Issued, spoil: Callable[[Issued], object], message: str) -> None:
    spoil(issued)

    with pytest.raises(BadCertificate, match=message):
        Certificate(issued.cert, issued.key)


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    issued = authority.issue(ends_in=timedelta(minutes=-1))

    with pytest.raises(BadCertificate, match=r"in TIDEPOOL_TLS_CERT expired at 20\d\d-.* UTC. Renew it."):
        Certificate(issued.cert, issued.key)


def test_a_certificate_of_the_future_is_refused(authority: Authority) -> None:
    issued = authority.issue(begins_in=timedelta(hours=1))

    with pytest.raises(BadCertificate, match=r"is valid from 20.* Check the clock of this machine"):
        Certificate(issued.cert, issued.key)


def test_a_renewed_certificate_is_served_to_new_connections(authority: Authority, issued: Issued) -> None:
    certificate = Certificate(issued.cert, issued.key)
    before = certificate.pem
    assert not certificate.renew()

    authority.issue()

    assert certificate.renew()
    assert served_by(certificate.context, authority) == der_of(issued.cert)
    assert certificate.pem == (issued.cert.read_bytes(), issued.key.read_bytes()) != before


@pytest.mark.parametrize("lost", [True, False], ids=["missing", "half written"])
def test_a_renewal_that_fails_changes_nothing_and_is_repeated(
    authority: Authority, issued: Issued, lost: bool, logs: list[EventDict]
) -> None:
    # given a renewal whose key has not been written yet
    certificate, old = Certificate(issued.cert, issued.key), der_of(issued.cert)
    key = issued.key.read_bytes()
    authority.issue()
    new_key = issued.key.read_bytes()
    if lost:
        issued.key.unlink()
    else:
        issued.key.write_bytes(key)

    # then the old certificate is served, and the log says why, once
    assert not certificate.renew()
    assert not certificate.renew()
    assert [(line["event"], "TIDEPOOL_TLS_KEY" in line["reason"]) for line in logs] == [
        ("certificate not renewed", True)
    ]
    assert served_by(certificate.context, authority) == old

    # and once the key is there, the new one is
    issued.key.write_bytes(new_key)
    assert certificate.renew()
    assert served_by(certificate.context, authority) == der_of(issued.cert)
