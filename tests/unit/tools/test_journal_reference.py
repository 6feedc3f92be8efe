"""The page of the journal is what the kinds of images say, and every table of the schema has its place on it."""

from engine.metadata.images import KINDS, OTHER_TABLES, TABLES
from tools.journal_reference import PAGE, page
from tools.schema_reference import read_tables


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run `python -m tools.journal_reference`"


def test_the_page_is_linked_from_the_references() -> None:
    assert "](journal.md)" in (PAGE.parent / "README.md").read_text()


def test_images_tell_of_a_table_or_it_says_why_not() -> None:
    assert sorted([*TABLES, *OTHER_TABLES]) == sorted(table.name for table in read_tables())


def test_a_kind_stands_by_every_table_it_tells_of() -> None:
    for kind in KINDS.values():
        assert all(kind in TABLES[field.table] for field in kind.fields), kind.name
