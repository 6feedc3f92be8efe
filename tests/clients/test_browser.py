"""A browser uploads by presigned PUT and POST from a page of another origin, and reads back what it may."""

import json
import queue
import subprocess
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support.served import Served

PAGE = Path(__file__).parent / "page.html"
ANSWER_TIMEOUT_S = 90
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
"""Flags with which Chromium asks nobody else for anything."""


class Origin(ThreadingHTTPServer):
    """Serves the page and its plan, and hears what came of it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.plan: dict[str, Any] = {}
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Origin

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/plan":
            self._answer("application/json", json.dumps(self.server.plan).encode())
        elif path == "/":
            self._answer("text/html; charset=utf-8", PAGE.read_bytes())
        else:
            self._answer("text/plain", b"landed")

    def do_POST(self) -> None:
        self.server.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer("text/plain", b"heard")

    def log_message(self, format: str, *arguments: object) -> None:
        """The page's server has nothing to say."""

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.timeout(180)
def test_a_page_of_another_origin_uploads_and_reads_back(
    tmp_path: Path, served: Served, origin: Origin, tool: Callable[[str], str]
) -> None:
    browser = tool("chromium")
    s3 = served.client()
    s3.create_bucket(Bucket="browser")
    s3.create_bucket(Bucket="browser-closed")
    s3.put_object(Bucket="browser-closed", Key="k", Body=b".")
    rule = {
        "AllowedOrigins": [origin.url],
        "AllowedMethods": ["GET", "PUT", "POST"],
        "AllowedHeaders": ["content-type"],
        "ExposeHeaders": ["ETag"],
    }
    s3.put_bucket_cors(Bucket="browser", CORSConfiguration={"CORSRules": [rule]})

    def link(method: str, bucket: str, key: str) -> str:
        return str(s3.generate_presigned_url(method, Params={"Bucket": bucket, "Key": key}))

    origin.plan = {
        "put": link("put_object", "browser", "put ü+"),
        "get": link("get_object", "browser", "put ü+"),
        "deletion": link("delete_object", "browser", "put ü+"),
        "closed": link("get_object", "browser-closed", "k"),
        "post": s3.generate_presigned_post(
            "browser",
            "posted/${filename}",
            Fields={"success_action_status": "201"},
            Conditions=[{"success_action_status": "201"}, ["content-length-range", 1, 100]],
        ),
        "form": s3.generate_presigned_post(
            "browser",
            "form/${filename}",
            Fields={"success_action_redirect": f"{origin.url}/landed"},
            Conditions=[{"success_action_redirect": f"{origin.url}/landed"}],
        ),
    }

    command = [
        browser,
        *QUIET,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--remote-debugging-port=0",
        origin.url,
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            told = origin.told.get(timeout=ANSWER_TIMEOUT_S)
        finally:
            process.terminate()

    assert told == {
        "put": [200, True],
        "get": [200, "text/x-page", True],
        "post": [201, "posted/holiday ü.txt"],
        "too big a post": [400, "EntityTooLarge"],
        "method without a rule": "TypeError",
        "bucket without rules": "TypeError",
        "form": "/landed",
    }
    assert s3.get_object(Bucket="browser", Key="posted/holiday ü.txt")["Body"].read() == b"posted"
    assert s3.get_object(Bucket="browser", Key="form/chosen ü.txt")["Body"].read() == b"from a form"
    assert s3.head_object(Bucket="browser", Key="put ü+")["ContentLength"] == 200 * 65536
