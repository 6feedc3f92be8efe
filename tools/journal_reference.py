"""Writes docs/reference/journal.md from the kinds of images, or checks that it is what they say.

What a field means is what the schema says of its column, so the page changes with either.
"""

import sys

from engine.metadata.images import KINDS, OTHER_TABLES, TABLES, Field, Form, Kind
from tools.reference_page import REFERENCE, cell, run
from tools.schema_reference import read_tables

PAGE = REFERENCE / "journal.md"

INTRODUCTION = """\
# Journal

Every transaction that changes what objects, buckets, identities, keys or the configuration are leaves an *image* of it
in the table `journal`: what the row is afterwards. Replayed in their order over an empty database, or over an older
state of the same one, images make the same rows again. Together with the cards beside the pieces
([cards](formats/card.md)) they are what a database is rebuilt from; the command that does it is not built yet. Images
that are a day old are dropped until then.

This page is written from the code by `tools/journal_reference.py`. The journal is no interface: kinds and fields may
come with every release, and a release reads the images of those before it.

## Form

A row has a number, a kind, a payload and a time ([schema](schema.md)). The payload is a JSON object without spaces. A
field that is null is left out; so is `storage_class` when it is STANDARD. Bytes are lower-case hex, flags are `true`
and `false`, times are microseconds since the Unix epoch, sizes are bytes. `headers`, `user_metadata`, `checksums`,
`buckets` and `document` are JSON as text, as they stand in their columns. No secret is in it that is not wrapped or
sealed.

## Order

- Images are replayed by their numbers. On PostgreSQL numbers are not the order of commits, but they keep what matters:
  a row's image stands behind those of the rows it refers to, and behind earlier ones of the same row.
- Of one key's versions the higher `seq` is the later one, in whatever order their images come.
- A `version` or `marker` displaces the version of the same key and version id, of which there is at most one: outside
  of enabled versioning every version id is `null`. Whatever of a key then has the highest `seq` is current. So an
  image says nothing of what it displaced.
- Repeating images changes nothing.

## What a replay leaves to others

- A version whose blob is nowhere is reported, unless a later image removes or displaces it.
- Displaced and removed versions wait for the reaper, as they did when it happened.
- Accounts of bytes have their limits and count nothing until they are recounted.
- Uploads that were open are gone, and so is the stored answer of a completed one: a repeated CompleteMultipartUpload
  finds no upload. Their parts are pieces without a version.
- When an access key or a token was last used is not told.
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION, "## Kinds\n"]
    parts += [_kind(kind) for kind in KINDS.values()]
    parts.append("## Tables that images tell of\n\n| table | kinds |\n|---|---|")
    parts += [f"| `{table}` | {_kinds(kinds)} |" for table, kinds in TABLES.items()]
    parts.append("\n## Tables that no image tells of\n\n| table | why it is no loss |\n|---|---|")
    parts += [f"| `{table}` | {cell(reason)} |" for table, reason in OTHER_TABLES.items()]
    return "\n".join(parts) + "\n"


def _kind(kind: Kind) -> str:
    rows = [f"| `{field.name}` | {field.form.value} | {cell(_meaning(field))} |" for field in kind.fields]
    head = f"### {kind.name}\n\n{kind.tells}\n\n| field | form | meaning |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _kinds(kinds: tuple[Kind, ...]) -> str:
    return ", ".join(f"`{kind.name}`" for kind in kinds) or "nothing writes it yet"


def _meaning(field: Field) -> str:
    if field.form is Form.SEGMENTS:
        return (
            "the slices of blobs that the version is made of, in order; none: it is one whole blob, or empty"
        )
    ((meaning,),) = [
        [column.meaning for column in table.columns if column.name == field.column]
        for table in read_tables()
        if table.name == field.table
    ]
    return f"`{field.table}.{field.column}`: {meaning}"


def main() -> int:
    """Write the page, or with --check compare it."""
    return run(PAGE, page, description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
