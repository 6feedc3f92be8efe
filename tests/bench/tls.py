"""S3 over TLS, against what OpenSSL encrypts in the same run."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from tests.bench.load import Figure
from tests.bench.report import Report, load, signed
from tests.support.certificates import Authority
from tests.support.served import Served

BUCKET, SMALL_BUCKET = "large-over-tls", "small-reads"
KIB, MIB = 1024, 1024 * 1024
RECORD_BYTES = 16 * KIB


def over_tls(report: Report, seconds: int) -> None:
    """Rows of large and of small reads, by a Penstock of its own that speaks TLS."""
    encrypted_per_s = _encrypted_bytes_per_s()
    with tempfile.TemporaryDirectory() as folder:
        with Served(Path(folder), volumes=1) as served:
            served.client().create_bucket(Bucket=SMALL_BUCKET)
            plain = _small(served, seconds)
        authority = Authority(Path(folder, "certificates"))
        served.speak_tls(authority.issue("server"), authority.ca)
        with served:
            _large(report, served, seconds, encrypted_per_s)
            figure = _small(served, seconds)
    report.row(
        "signed GET 1 KiB over TLS, 32 kept connections",
        f"{figure.cpu_us:.0f} µs CPU, {figure.requests_per_s:.0f}/s, p99 {figure.p99_ms:.1f} ms",
        f"without TLS {plain.cpu_us:.0f} µs",
        f"{figure.cpu_us / plain.cpu_us:.1f} × without",
    )


def _large(report: Report, served: Served, seconds: int, encrypted_per_s: float) -> None:
    s3, size_bytes = served.client(), 64 * MIB
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="large", Body=os.urandom(size_bytes))
    figure = load(served, [signed(served, "GET", f"/{BUCKET}/large")], connections=2, seconds=seconds)
    per_core = size_bytes / (figure.cpu_us / 1e6)
    report.row(
        "GET 64 MiB over TLS, blocks verified",
        f"{per_core / 1e9:.2f} GB/s a core, {figure.bytes_per_s / 1e9:.2f} GB/s",
        f"OpenSSL AES-256-GCM {encrypted_per_s / 1e9:.2f} GB/s",
        f"{per_core / encrypted_per_s:.2f} × OpenSSL",
    )


def _small(served: Served, seconds: int) -> Figure:
    s3 = served.client()
    for index in range(64):
        s3.put_object(Bucket=SMALL_BUCKET, Key=f"{index}", Body=os.urandom(KIB))
    requests = [signed(served, "GET", f"/{SMALL_BUCKET}/{index}") for index in range(64)]
    return load(served, requests, connections=32, seconds=seconds)


def _encrypted_bytes_per_s() -> float:
    """One core, records of the largest size, without a network or a file."""
    told = subprocess.run(
        ["openssl", "speed", "-mr", "-seconds", "2", "-bytes", str(RECORD_BYTES), "-evp", "aes-256-gcm"],
        check=True,
        capture_output=True,
        text=True,
    )
    found = re.search(r"^\+F:.*?:([\d.]+)$", told.stdout, re.MULTILINE | re.IGNORECASE)
    if found is None:
        raise RuntimeError(f"openssl speed said nothing that is understood:\n{told.stdout}")
    return float(found[1])
