"""The gateway's certificate for HTTPS and gRPC: checked at the start, read again when its files change."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from prometheus_client import Gauge

log = structlog.get_logger()

CERT, KEY = "TIDEPOOL_TLS_CERT", "TIDEPOOL_TLS_KEY"
RENEW_S = 10.0  # between two looks at the files
EXPIRES = Gauge(
    "tidepool_certificate_expiry_timestamp_seconds",
    "When the gateway's certificate expires, in Unix time; 0 without TLS.",
)


class BadCertificate(Exception):
    """The certificate or its key cannot be used; the message says what to change."""


class Certificate:
    """A certificate with its chain, and its private key; `context` serves both, also after they were renewed."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Raises BadCertificate if a file is missing or unreadable, the key does not match, or the time is over."""
        self._cert, self._key = cert, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._tried: object = None
        self.pem: tuple[bytes, bytes] = (b"", b"")
        """The certificate and the key, as PEM."""
        self._load()

    def renew(self) -> bool:
        """Read the files again if they have changed; keep what is served if they cannot be used."""
        if self._changed_at() == self._tried:
            return False
        try:
            self._load()
        except BadCertificate as error:
            log.error("certificate not renewed", reason=str(error))
            return False
        log.info("certificate renewed")
        return True

    def _load(self) -> None:
        self._tried = self._changed_at()  # before reading, so that a change meanwhile is noticed
        cert, key = _read(CERT, self._cert), _read(KEY, self._key)
        expires = _check(cert, key)
        try:
            self.context.load_cert_chain(self._cert, self._key)
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "reason", None) or "the files have changed while they were read"
            raise BadCertificate(f"{CERT} and {KEY} are refused by OpenSSL: {reason}") from error
        self.pem = (cert, key)
        EXPIRES.set(expires.timestamp())

    def _changed_at(self) -> tuple[object, ...]:
        """Return what differs after a file was written or replaced; None stands for one that is missing."""
        stamps: list[object] = []
        for path in (self._cert, self._key):
            try:
                stat = path.stat()
            except OSError:
                stamps.append(None)
            else:
                stamps.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
        return tuple(stamps)


def certificate_of(cert: Path | None, key: Path | None) -> Certificate | None:
    """Return the certificate of the two settings, None if neither is set; raises BadCertificate."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        missing = CERT if cert is None else KEY
        raise BadCertificate(f"{missing} is not set. Set both {CERT} and {KEY} for HTTPS, or neither for HTTP.")
    return Certificate(cert, key)


@contextlib.asynccontextmanager
async def renewing(certificate: Certificate | None) -> AsyncIterator[None]:
    """Look for a renewed certificate every RENEW_S during the block.

    It is loaded in the thread that makes connections, as OpenSSL requires.
    """
    task = None if certificate is None else asyncio.create_task(_renew(certificate))
    try:
        yield
    finally:
        if task is not None:
            task.cancel()


async def _renew(certificate: Certificate) -> None:
    while True:
        await asyncio.sleep(RENEW_S)
        certificate.renew()


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BadCertificate(f"{setting} is {path}, which does not exist.") from error
    except OSError as error:
        raise BadCertificate(f"{setting} is {path}, which cannot be read: {error.strerror}.") from error


def _check(cert: bytes, key: bytes) -> datetime:
    """Return when the certificate expires; raises BadCertificate."""
    try:
        server, *_ = x509.load_pem_x509_certificates(cert)
    except ValueError as error:
        raise BadCertificate(f"{CERT} has no certificate in PEM format (-----BEGIN CERTIFICATE-----).") from error
    try:
        private = load_pem_private_key(key, None)
    except TypeError as error:
        raise BadCertificate(f"{KEY} is encrypted. Store the key without a passphrase.") from error
    except ValueError as error:
        raise BadCertificate(f"{KEY} has no private key in PEM format.") from error
    if server.public_key() != private.public_key():
        raise BadCertificate(
            f"{KEY} is not the key of the certificate in {CERT}. In a chain, the server's certificate comes first."
        )
    now, begins, ends = datetime.now(UTC), server.not_valid_before_utc, server.not_valid_after_utc
    if now >= ends:
        raise BadCertificate(f"The certificate in {CERT} expired at {ends:%Y-%m-%d %H:%M} UTC. Renew it.")
    if now < begins:
        raise BadCertificate(
            f"The certificate in {CERT} is valid from {begins:%Y-%m-%d %H:%M} UTC on. Check the clock of this machine."
        )
    return ends
