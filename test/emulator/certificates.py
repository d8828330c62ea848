"""Certificates made on the spot by the openssl command: an authority and a server's.

The authority's key is thrown away with the directory; nothing is trusted for longer than
one run of the emulator.
"""

import subprocess
from pathlib import Path

KINDS = ("good", "expired", "wrong-host")
HERE = "DNS:localhost,IP:127.0.0.1,IP:::1"
ELSEWHERE = "DNS:elsewhere.example"

AUTHORITY = """
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
"""


class Certificates:
    """Files in a directory: the authority a client must trust, and the server's own."""

    def __init__(self, directory, kind, names=()):
        self._directory = Path(directory)
        self.ca_file = str(self._directory / "ca.pem")
        self.server_file = str(self._directory / "server.pem")
        self.server_key_file = str(self._directory / "server.key")
        # The database server reads ca_file, often as another user; openssl guards the keys.
        self._directory.chmod(0o755)
        self._make(kind, ",".join([HERE, *(f"DNS:{name}" for name in names)]))

    def _make(self, kind, here):
        self._openssl("req", "-x509", *self._new_key("ca.key"), "-days", "2", "-out", "ca.pem",
                      "-subj", "/CN=SageMaker Runtime emulator CA",
                      "-addext", "keyUsage=critical,keyCertSign")
        self._openssl("req", *self._new_key("server.key"), "-out", "server.csr",
                      "-subj", "/CN=SageMaker Runtime emulator")
        host = ELSEWHERE if kind == "wrong-host" else here
        (self._directory / "server.ext").write_text(f"subjectAltName={host}\n")
        (self._directory / "index.txt").touch()
        (self._directory / "ca.conf").write_text(AUTHORITY)
        # OpenSSL 3.5 has no negative -days any more, and only this command has dates before.
        dates = (["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"]
                 if kind == "expired" else ["-days", "1"])
        self._openssl("ca", "-batch", "-notext", "-config", "ca.conf", "-in", "server.csr",
                      "-cert", "ca.pem", "-keyfile", "ca.key", *dates,
                      "-extfile", "server.ext", "-out", "server.pem")

    def _new_key(self, file):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", file)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self._directory, check=True,
                       stdin=subprocess.DEVNULL, capture_output=True)
