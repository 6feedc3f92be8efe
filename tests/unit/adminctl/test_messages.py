"""Formats for programs: each says the same, pages are one list, and no cell of a table is taken for a formula."""

import csv
import io
import json
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.json_format import Parse
from penstock.admin.v1 import backend_pb2, system_pb2
from penstock.admin.v1 import backend_service_pb2 as pb
from penstock.admin.v1 import system_service_pb2 as system_service_pb
from ruamel.yaml import YAML

from adminctl.formats import Format
from adminctl.messages import fields_of, write_message, write_pages
from adminctl.refusals import Refused


def backend(name: str, *, used_bytes: int = 0, problem: str = "") -> backend_pb2.Backend:
    capacity = backend_pb2.BackendCapacity(used_bytes=used_bytes)
    return backend_pb2.Backend(name=f"backends/{name}", kind="volume", capacity=capacity, problem=problem)


def pages() -> Iterator[pb.ListBackendsResponse]:
    yield pb.ListBackendsResponse(backends=[backend("near", used_bytes=7)], next_page_token="next")
    yield pb.ListBackendsResponse(backends=[backend("far")])


def whole() -> pb.ListBackendsResponse:
    return pb.ListBackendsResponse(backends=[each for page in pages() for each in page.backends])


def written(format_: Format, capsys: pytest.CaptureFixture[str], *, has_headings: bool = True) -> str:
    write_pages(pages(), format_, has_headings=has_headings)
    return capsys.readouterr().out


def test_json_of_pages_is_that_of_one_answer(capsys: pytest.CaptureFixture[str]) -> None:
    out = written(Format("json"), capsys)

    assert out == json.dumps(fields_of(whole()), indent=2) + "\n"
    assert Parse(out, pb.ListBackendsResponse()) == whole()


def test_json_of_an_empty_list_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    write_message(pb.ListBackendsResponse(), Format("json"), has_headings=True)

    assert json.loads(capsys.readouterr().out) == {"backends": [], "next_page_token": ""}


def test_yaml_says_what_json_says(capsys: pytest.CaptureFixture[str]) -> None:
    out = written(Format("yaml"), capsys)
    write_message(pb.ListBackendsResponse(), Format("yaml"), has_headings=True)
    empty = capsys.readouterr().out

    assert YAML(typ="safe").load(out) == fields_of(whole())
    assert YAML(typ="safe").load(empty) == {"backends": [], "next_page_token": ""}


def test_json_lines_are_items_of_a_list_or_a_whole_answer(capsys: pytest.CaptureFixture[str]) -> None:
    items = written(Format("jsonl"), capsys).splitlines()
    write_message(pb.GetBackendResponse(backend=backend("near")), Format("jsonl"), has_headings=True)
    (answer,) = capsys.readouterr().out.splitlines()

    assert [json.loads(line)["name"] for line in items] == ["backends/near", "backends/far"]
    assert json.loads(answer)["backend"]["name"] == "backends/near"


def test_names_are_those_of_items(capsys: pytest.CaptureFixture[str]) -> None:
    listed = written(Format("name"), capsys)
    write_message(pb.GetBackendResponse(backend=backend("near")), Format("name"), has_headings=True)

    assert listed == "backends/near\nbackends/far\n"
    assert capsys.readouterr().out == "backends/near\n"


def test_what_has_no_name_is_refused_names() -> None:
    with pytest.raises(Refused, match="no names"):
        write_message(system_service_pb.GetVersionResponse(), Format("name"), has_headings=True)


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{name}: {capacity.used_bytes}", "backends/near: 7\nbackends/far: 0\n"),
        (r"{kind}\t{{x}}\n", "volume\t{x}\n\nvolume\t{x}\n\n"),
        ("{identity_ok}", "false\nfalse\n"),
        ("plain", "plain\nplain\n"),
    ],
)
def test_templates_are_filled_in(template: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert written(Format("template", template), capsys) == shown


def test_a_field_that_no_item_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refused, match="colour"):
        written(Format("template", "{colour}"), capsys)


def test_csv_has_a_column_for_each_field(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(written(Format("csv"), capsys))))
    bare = written(Format("csv"), capsys, has_headings=False)

    assert [row["capacity.used_bytes"] for row in rows] == ["7", "0"]
    assert [row["name"] for row in rows] == ["backends/near", "backends/far"]
    assert bare.startswith('"backends/near","volume",')


@pytest.mark.parametrize(
    ("problem", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+1", "'+1+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),
        ("-5", "-5"),
        ("-5.5e3", "-5.5e3"),
        ('a,"b"\nc', 'a,"b"\nc'),
        ("", ""),
    ],
)
def test_no_cell_is_a_formula(problem: str, cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = pb.ListBackendsResponse(backends=[backend("near", problem=problem)])

    write_message(answer, Format("csv"), has_headings=True)

    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out, newline=""))
    assert row["problem"] == cell


def test_json_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    answer = pb.GetBackendResponse(backend=backend("near", problem="\x9b31m\u202egnp \U000e0001 ü"))

    write_message(answer, Format("json"), has_headings=True)

    out = capsys.readouterr().out
    assert all(each.isprintable() or each == "\n" for each in out)
    assert "ü" in out
    assert json.loads(out)["backend"]["problem"] == answer.backend.problem


def test_the_items_of_an_answer_that_is_no_list_are_its_only_list(capsys: pytest.CaptureFixture[str]) -> None:
    health = system_service_pb.GetHealthResponse(checks=[system_pb2.HealthCheck(name="database")])

    write_message(health, Format("name"), has_headings=True)

    assert capsys.readouterr().out == "database\n"


def many_pages(page_count: int) -> Iterator[pb.ListBackendsResponse]:
    for number in range(page_count):
        items = [backend(f"{number}-{item}", problem="=cmd()") for item in range(200)]
        yield pb.ListBackendsResponse(backends=items, next_page_token="more")


@pytest.mark.parametrize("name", ["json", "jsonl", "yaml", "name", "csv"])
def test_a_list_of_any_length_is_held_a_page_at_a_time(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page_count = 2 if name == "yaml" else 10
    with Path("/dev/null").open("w") as nowhere:
        monkeypatch.setattr(sys, "stdout", nowhere)
        # What is imported at the first time is not of the list.
        write_pages(many_pages(1), Format(name), has_headings=True)
        tracemalloc.start()
        try:
            write_pages(many_pages(page_count), Format(name), has_headings=True)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak_bytes < 2 * 1024 * 1024
