"""Clients that put, delete and upload in parts while somebody kills the server, and remember every answer."""

import random
import threading
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from tests.chaos.oracle import KeyHistory, payload

SIZES_BYTES = (0, 1, 700, 4096, 70_000, 300_000, 1_200_000)
PART_BYTES = 5 * 1024 * 1024
BUCKET = "chaos"


class Client(threading.Thread):
    """One client with keys of its own. It stops when told to, or goes on through errors until then."""

    def __init__(self, s3: Any, name: str, seed: int, stop: threading.Event, *, key_count: int = 12) -> None:
        super().__init__(name=name)
        self._s3 = s3
        self._random = random.Random(seed)
        self._stop_event = stop
        self._step = 0
        self.histories = {f"{name}/k{index}": KeyHistory() for index in range(key_count)}
        self.acknowledged_count = 0

    def renew(self, s3: Any, stop: threading.Event) -> "Client":
        """The same client with the same memory, for the next round."""
        fresh = Client(s3, self.name, self._random.randrange(2**32), stop)
        fresh.histories, fresh._step, fresh.acknowledged_count = (
            self.histories,
            self._step,
            self.acknowledged_count,
        )
        return fresh

    def run(self) -> None:
        while not self._stop_event.is_set():
            self._step += 1
            key = self._random.choice(sorted(self.histories))
            move = self._random.random()
            if move < 0.70:
                self._store(key)
            elif move < 0.90:
                self._remove(key)
            else:
                self._multipart(key)

    def _attempt(self, key: str, value: bytes | None, call: Any) -> None:
        history = self.histories[key]
        history.begins(value)
        try:
            call()
        except ClientError as error:
            # Only a refusal of the request itself proves that nothing happened; a 5xx proves nothing.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                raise
        except (BotoCoreError, HTTPClientError):
            self._stop_event.wait(0.02)
        else:
            history.acknowledges(value)
            self.acknowledged_count += 1

    def _store(self, key: str) -> None:
        value = payload(f"{key}#{self._step}", self._random.choice(SIZES_BYTES))
        self._attempt(key, value, lambda: self._s3.put_object(Bucket=BUCKET, Key=key, Body=value))

    def _remove(self, key: str) -> None:
        self._attempt(key, None, lambda: self._s3.delete_object(Bucket=BUCKET, Key=key))

    def _multipart(self, key: str) -> None:
        parts = [payload(f"{key}#{self._step}.1", PART_BYTES), payload(f"{key}#{self._step}.2", 50_000)]
        try:
            upload_id = self._s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
            named = {"Bucket": BUCKET, "Key": key, "UploadId": upload_id}
            listed = []
            for number, part in enumerate(parts, start=1):
                answer = self._s3.upload_part(**named, PartNumber=number, Body=part)
                listed.append({"PartNumber": number, "ETag": answer["ETag"]})
        except (ClientError, BotoCoreError, HTTPClientError):
            self._stop_event.wait(0.02)
            return
        finish = {"MultipartUpload": {"Parts": listed}}
        self._attempt(key, b"".join(parts), lambda: self._s3.complete_multipart_upload(**named, **finish))


def check(s3: Any, clients: list[Client]) -> list[str]:
    """Read every key back and list what must not be."""
    problems = []
    for client in clients:
        for key, history in client.histories.items():
            try:
                value = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchKey":
                    raise
                value = None
            problem = history.observes(value)
            if problem is not None:
                problems.append(f"{key}: {problem}")
    listed = {
        entry["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        for entry in page.get("Contents", ())
    }
    present = {
        key
        for client in clients
        for key, history in client.histories.items()
        if history.acknowledged != "absent"
    }
    if listed != present:
        problems.append(f"listed but absent: {listed - present}; present but not listed: {present - listed}")
    return problems
