"""Private certificates, created for a test."""

import datetime
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_BEGIN = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_END = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)
_EXPIRED = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """Signs certificates; `pem` is its own."""

    def __init__(self, name="live-segments test"):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        unsigned = self._unsigned(self._name, self._key, _END).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        usage = dict.fromkeys(
            [
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ],
            False,
        )
        usage |= {"digital_signature": True, "key_cert_sign": True, "crl_sign": True}
        self._own = self._signed(unsigned.add_extension(x509.KeyUsage(**usage), critical=True))
        self.pem = self._own.public_bytes(serialization.Encoding.PEM)

    def server_context(self, folder, host, expired=False):
        """Returns the TLS settings of a server at an address; key and certificate go into the folder."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            alternative = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            alternative = x509.DNSName(host)
        unsigned = self._unsigned(_name(host), key, _EXPIRED if expired else _END).add_extension(
            x509.SubjectAlternativeName([alternative]), critical=False
        )
        folder.mkdir(exist_ok=True)
        certificate, private = folder / "certificate.pem", folder / "key.pem"
        certificate.write_bytes(self._signed(unsigned).public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private)
        return context

    def _unsigned(self, subject, key, end):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_BEGIN)
            .not_valid_after(end)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    def _signed(self, unsigned):
        return unsigned.sign(self._key, hashes.SHA256())


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
