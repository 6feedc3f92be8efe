"""The schema reference is what the migrations say, and says something of every column."""

from pathlib import Path

import pytest

from tools.schema_reference import PAGE, page, read_tables


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run tools/schema_reference.py"


def test_every_column_of_every_table_has_a_meaning() -> None:
    tables = read_tables()

    mute = [
        f"{table.name}.{column.name}" for table in tables for column in table.columns if not column.meaning
    ]

    assert mute == []
    assert len(tables) > 30


def test_the_page_is_linked_from_the_references() -> None:
    assert "](schema.md)" in (PAGE.parent / "README.md").read_text(encoding="utf-8")


def test_later_migrations_add_columns_and_replace_indexes(tmp_path: Path) -> None:
    (tmp_path / "0001_pre_initial.sql").write_text(
        "-- Comment.\n\nCREATE TABLE a (\n    b INTEGER NOT NULL, -- what b | means\n    CHECK (b > 0)\n) STRICT;\n"
        "CREATE INDEX a_by_b ON a (b);\n"
    )
    (tmp_path / "0002_pre_more.sql").write_text(
        "ALTER TABLE a ADD COLUMN c TEXT; -- what c means\n"
        "DROP INDEX a_by_b;\nCREATE UNIQUE INDEX a_by_c ON a (c) WHERE c IS NOT NULL;\n"
    )

    (table,) = read_tables(tmp_path)

    assert [(each.name, each.type, each.rules, each.meaning) for each in table.columns] == [
        ("b", "INTEGER", "NOT NULL", "what b | means"),
        ("c", "TEXT", "", "what c means"),
    ]
    assert (table.rules, list(table.indexes)) == (["CHECK (b > 0)"], ["a_by_c"])
    assert "what b \\| means" in page([table])


@pytest.mark.parametrize("text", ["UPDATE a SET b = 1;\n", "CREATE TABLE a (\n    b INTEGER\n"])
def test_what_is_not_understood_is_refused_not_skipped(tmp_path: Path, text: str) -> None:
    (tmp_path / "0001_pre_initial.sql").write_text(text)

    with pytest.raises(ValueError, match=r"not understood|does not end"):
        read_tables(tmp_path)
