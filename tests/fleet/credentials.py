"""A nats-server's certificate, and users with credentials that expire: what nsc would make, by openssl."""
import base64
import json
import pathlib
import subprocess
import time

KINDS = {"operator": 14, "account": 0, "user": 20}


def openssl(*args):
    return subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True).stdout


def crc16(data):
    """XMODEM's, as nkeys have it."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc.to_bytes(2, "little")


def base32(data):
    return base64.b32encode(data + crc16(data)).decode().rstrip("=")


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Nkey:
    """An Ed25519 key of an operator, an account or a user."""

    def __init__(self, folder, kind, name=None):
        self.folder, self.kind, self.name = pathlib.Path(folder), kind, name or kind
        self.pem = self.folder / f"{self.name}.pem"
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.pem)
        private = openssl("pkey", "-in", self.pem, "-outform", "DER")[-32:]
        public = openssl("pkey", "-in", self.pem, "-pubout", "-outform", "DER")[-32:]
        prefix = KINDS[kind] << 3
        self.public = base32(bytes([prefix]) + public)
        self.seed = base32(bytes([18 << 3 | prefix >> 5, (prefix & 31) << 3]) + private)

    def vouch(self, of, claims, seconds=None):
        """A JWT, signed by this key, of another or itself; it expires after so many seconds."""
        now = int(time.time())
        body = {"jti": of.public, "iat": now - 1, "iss": self.public, "sub": of.public, "name": of.name,
                "nats": {**claims, "type": of.kind, "version": 2}}
        if seconds is not None:
            body["exp"] = now + seconds
        text = ".".join(base64url(json.dumps(part).encode())
                        for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body))
        unsigned = self.folder / "unsigned"
        unsigned.write_text(text, encoding="ascii")
        signature = openssl("pkeyutl", "-sign", "-inkey", self.pem, "-rawin", "-in", unsigned)
        return f"{text}.{base64url(signature)}"


class Guard:
    """Who may use a server, and how it proves to be that one."""

    def __init__(self, folder, address):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.certificate, self.key = self.folder / "cert.pem", self.folder / "key.pem"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=nats",
                "-addext", f"subjectAltName=IP:{address}", "-out", self.certificate, "-keyout", self.key)
        self.operator, self.account, self.user = (Nkey(self.folder, kind) for kind in KINDS)
        self.system = Nkey(self.folder, "account", "system") # JetStream wants one

    def config(self):
        """Of the server."""
        no_limit = {name: -1 for name in ("subs", "data", "payload", "imports", "exports", "conn", "leaf")}
        jetstream = {name: -1 for name in ("mem_storage", "disk_storage", "streams", "consumer")}
        system = self.operator.vouch(self.system, {"limits": no_limit})
        account = self.operator.vouch(self.account, {"limits": {**no_limit, **jetstream}})
        return f"""
            tls {{ cert_file: "{self.certificate}", key_file: "{self.key}" }}
            operator: {self.operator.vouch(self.operator, {"system_account": self.system.public})}
            resolver: MEMORY
            resolver_preload {{ {self.account.public}: {account}, {self.system.public}: {system} }}
            """

    def write_credentials(self, path, seconds=None):
        """Of the user, valid for so long; nobody sees half of them."""
        token = self.account.vouch(self.user, {"subs": -1, "data": -1, "payload": -1}, seconds)
        new = self.folder / "new"
        new.write_text(f"""-----BEGIN NATS USER JWT-----
{token}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
{self.user.seed}
------END USER NKEY SEED------
""", encoding="ascii")
        new.rename(path)
