"""The YAML of a configuration: what has no business there is refused, and the line is told."""

import pytest

from engine.errors import InvalidConfig
from engine.settings.source import SOURCE_BYTES_MAX, read_source


def problem(raw: bytes) -> tuple[int | None, str]:
    with pytest.raises(InvalidConfig) as caught:
        read_source(raw)
    (found,) = caught.value.problems
    return found.line, found.message


def test_values_keep_their_lines() -> None:
    source = read_source(b"# a comment\na: 1\nb:\n  - x\n  - {c: true}\n")

    assert source.value == {"a": 1, "b": ("x", {"c": True})}
    assert (source.lines[("a",)], source.lines[("b", 0)], source.lines[("b", 1, "c")]) == (2, 4, 5)


def test_a_python_object_is_refused_and_nothing_is_made_of_it() -> None:
    line, message = problem(b'a: 1\nb: !!python/object/apply:os.system ["touch /tmp/x"]\n')

    assert line == 2
    assert "!!python/object/apply:os.system" in message


@pytest.mark.parametrize("tag", [b"!!binary aGk=", b"!own x", b"!!set {x}", b"!!python/name:os.system x"])
def test_every_other_tag_is_refused(tag: bytes) -> None:
    line, message = problem(b"a: 1\nb: " + tag + b"\n")

    assert line == 2
    assert "is not accepted" in message


def test_a_key_that_stands_twice_is_refused_with_both_lines() -> None:
    assert problem(b"a: 1\nb: 2\na: 3\n") == (3, "the key stands already on line 1")


def test_a_key_that_stands_twice_deep_inside_is_refused() -> None:
    line, message = problem(b"a:\n  - b: 1\n    b: 1\n")

    assert (line, message) == (3, "the key stands already on line 2")


def test_anchors_and_aliases_are_refused_so_that_nothing_unfolds() -> None:
    laughs = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (name, name, b",".join([b"*%c" % (name - 1)] * 9))
        for name in range(ord("b"), ord("j"))
    )

    with pytest.raises(InvalidConfig) as caught:
        read_source(laughs)

    assert caught.value.problems[0].line == 1
    assert len(caught.value.problems) < 20


def test_merge_keys_are_refused() -> None:
    line, message = problem(b"a: 1\n<<: {b: 2}\n")

    assert line == 2
    assert "merge keys" in message


def test_keys_are_text() -> None:
    assert problem(b"a: 1\n7: x\n")[0] == 2


def test_broken_yaml_is_refused_with_its_line() -> None:
    line, message = problem(b"a: 1\nb: [1, 2\nc: 3\n")

    assert line in (2, 3)
    assert message.startswith("not YAML")


def test_a_second_document_is_refused() -> None:
    assert problem(b"a: 1\n---\nb: 2\n")[0] is not None


def test_bytes_that_are_no_utf8_are_refused_with_their_line() -> None:
    assert problem(b"a: 1\nb: \xff\n") == (2, "the file is not valid UTF-8")


def test_depth_is_bounded() -> None:
    assert "nested deeper" in problem(b"a: " + b"[" * 30 + b"]" * 30)[1]
    assert "nested deeper" in problem(b"a: " + b"[" * 100_000)[1]


def test_size_is_bounded() -> None:
    assert "at most" in problem(b"#" * (SOURCE_BYTES_MAX + 1))[1]


def test_the_top_is_a_mapping() -> None:
    assert problem(b"- a\n")[0] == 1


def test_a_date_stays_text_and_yes_is_no_boolean() -> None:
    assert read_source(b"a: 2020-01-01\nb: yes\nc: 'no'\n").value == {
        "a": "2020-01-01",
        "b": "yes",
        "c": "no",
    }


def test_numbers_in_other_writings_are_refused() -> None:
    assert problem(b"a: 0x1F\n")[0] == 1
