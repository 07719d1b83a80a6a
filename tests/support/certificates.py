"""Certificates for test servers, made with openssl: an authority and the certificates that it signs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Authority:
    """A certificate authority for tests only. Its files are in a separate folder."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The file to pass as sslrootcert."""
        return self.folder / "ca.crt"

    def sign(self, name: str) -> tuple[Path, Path]:
        """Creates a certificate and a key for a server of this name."""
        key, request, certificate = (self.folder / f"server.{ending}" for ending in ("key", "csr", "crt"))
        extensions = self.folder / "extensions"
        extensions.write_text(f"subjectAltName=DNS:{name}\n", encoding="ascii")
        _openssl("req", *NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        signing = ("-CA", self.certificate, "-CAkey", self.folder / "ca.key", "-CAcreateserial", "-days", "2")
        _openssl("x509", "-req", "-in", request, *signing, "-out", certificate, "-extfile", extensions)
        return certificate, key


def make_authority(folder: Path) -> Authority:
    """Creates an authority in a folder. Skips the test if openssl is missing."""
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl is not installed")
    folder.mkdir(parents=True)
    made = Authority(folder)
    subject = ("-subj", "/CN=Authority of a test", "-days", "2")
    _openssl("req", "-x509", *NEW_KEY, "-keyout", folder / "ca.key", "-out", made.certificate, *subject)
    return made


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
