"""YAML is read safely, and what it would get silently wrong is refused with its line, its key and what to write."""

from __future__ import annotations

from itertools import pairwise

import pytest

from evhub.scenarios.errors import InputError
from evhub.scenarios.schema.yaml_file import read_yaml


def read(folder, content: str | bytes):
    path = folder / "case.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(path)


def refused(folder, content: str | bytes) -> list[str]:
    with pytest.raises(InputError) as error:
        read(folder, content)
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{folder / 'case.yaml'}: ") for line in lines)
    return [line.removeprefix(f"{folder / 'case.yaml'}: ") for line in lines]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("12:30", 'a number or text: YAML reads 12:30 in base 60; write "12:30" in quotes'),
        ("-1:30", 'YAML reads -1:30 in base 60; write "-1:30"'),
        ("1:02:03.5", "in base 60"),
        ("010", 'without a leading zero: YAML reads 010 in base 8; write 10 or "010"'),
        ("+010", 'write 10 or "+010"'),
        ("00", 'write 0 or "00"'),
        ("09", 'write 9 or "09"'),
        ("1_000", "a number without underscores"),
        ("5_0.5", "a number without underscores"),
        ("off", 'true or false, or "off" in quotes: YAML reads off as a truth value'),
        ("On", 'or "On" in quotes'),
        ("no", 'or "no" in quotes'),
        ("YES", 'or "YES" in quotes'),
        ("y", 'or "y" in quotes'),
        ("=", "text in quotes: YAML has a meaning of its own for ="),
        ("<<", "YAML has a meaning of its own for <<"),
    ],
)
def test_a_trap_is_refused_with_line_key_and_what_to_write(tmp_path, written, told):
    (line,) = refused(tmp_path, f"a:\n  b:\n  - c: {written}\n")
    assert line.startswith("line 3: a.b[0].c: must be ")
    assert told in line
    assert line.endswith(f"got '{written}'")


@pytest.mark.parametrize("written", ["12:30", "off", "010", "1_000", "=", "!!int 5", "2024-03-01T12:00:00-03:00", "on"])
def test_in_quotes_it_is_text(tmp_path, written):
    assert read(tmp_path, f"a: '{written}'") == {"a": written}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("5e3", 5000.0),
        ("-.5", -0.5),
        ("60.", 60.0),
        ("0", 0),
        ("-7", -7),
        ("0.5", 0.5),
        ("true", True),
        ("False", False),
        ("null", None),
        ("1h30min", "1h30min"),
        ("2024-03-01T12:00:00-03:00", "2024-03-01T12:00:00-03:00"),
        ("2024-03-01", "2024-03-01"),
        ("12:30:00Z", "12:30:00Z"),
        ("Zähler 1", "Zähler 1"),
        ("1.5.2", "1.5.2"),
    ],
)
def test_what_looks_like_itself_is_read_as_such(tmp_path, written, value):
    found = read(tmp_path, f"a: {written}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", ["line 3: a: must stand once; line 1 has it already"]),
        ("a:\n  b: 1\n  b: 1\n", ["line 3: a.b: must stand once; line 2 has it already"]),
        ("a: [{b: 1, b: 2}]\n", ["line 1: a[0].b: must stand once; line 1 has it already"]),
        ("a: 1\na: 2\na: 3\n", [f"line {n}: a: must stand once; line {n - 1} has it already" for n in (2, 3)]),
    ],
)
def test_duplicate_keys_are_refused(tmp_path, content, told):
    assert refused(tmp_path, content) == told


@pytest.mark.parametrize("key", ["5", "off", "1.5", "~", "12:30", "? [a, b]\n  ", "? {a: b}\n  "])
def test_a_key_that_is_not_text_is_refused(tmp_path, key):
    (line,) = refused(tmp_path, f"a:\n  {key}: 1\n")
    assert line.startswith("line 2: a: every key must be text; write it in quotes, got ")


@pytest.mark.parametrize(
    "value",
    [
        '!!python/object/apply:os.system ["touch hacked"]',
        "!!python/name:os.system",
        "!own {a: 1}",
        "!!int abc",
        "!!float 5",
        "!!bool maybe",
        "!!timestamp 2024-99-99",
        "!!binary aGVsbG8=",
        "!!set {a, b}",
        "!!omap [a: 1]",
        "!!str 5",
    ],
)
def test_tags_are_refused_and_never_run(tmp_path, value, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (line,) = refused(tmp_path, f"x: 1\na: {value}\n")
    assert line.startswith("line 2: a: must be written without a tag")
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    ("content", "where", "told"),
    [
        ("a: [1, 2\n", "line 2", "expected ',' or ']'"),
        ("a: b: c\n", "line 1", "mapping values are not allowed here"),
        ("a:\n\tb: 1\n", "line 2", "found character '\\t'"),
        ('a: "x\n', "line 2", "unexpected end of stream"),
        ("a: *x\n", "line 1", "undefined alias 'x'"),
        ("a: 1\n---\na: 2\n", "line 2", "another document"),
        ("a: 1\n<<: 5\n", "line 2", "expected a mapping"),
        ("a: x\0y\n", "file", "special characters are not allowed"),
        ("a: " + "[" * 3000 + "]" * 3000, "file", "recursion"),
        ("a: " + "9" * 5000, "file", "5000 digits"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(tmp_path, content, where, told):
    (line,) = refused(tmp_path, content)
    assert line.startswith(f"{where}: must be valid YAML (")
    assert told in line


@pytest.mark.parametrize(
    ("content", "got"), [("", "null"), ("# nothing\n", "null"), ("- a\n", "['a']"), ("hello", "'hello'"), ("5", "5")]
)
def test_the_document_must_be_a_mapping(tmp_path, content, got):
    assert refused(tmp_path, content) == [f"file: must be a mapping of keys to values, got {got}"]


@pytest.mark.parametrize("content", ["a: ö\n".encode("latin-1"), "a: 1\n".encode("utf-16"), bytes(range(128, 256))])
def test_other_encodings_than_utf_8_are_refused(tmp_path, content):
    (line,) = refused(tmp_path, content)
    assert line.startswith("file: must be a readable UTF-8 text file ('utf-8' codec")


def test_a_byte_order_mark_and_line_ends_of_windows_are_fine(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb:\r\n  - x\r\n") == {"a": 1, "b": ["x"]}


@pytest.mark.parametrize("text", ["\\ud800", "\\0", "\\e[31mred", "\\a", "\\x7f"])
def test_characters_that_no_terminal_or_file_should_get_are_refused(tmp_path, text):
    (line,) = refused(tmp_path, f'a: "{text}"\n')
    assert line.startswith("line 1: a: must be text without control characters, got ")
    assert line.isprintable()


def test_text_over_several_lines_is_fine(tmp_path):
    assert read(tmp_path, "a: |\n  one\n  two\n")["a"] == "one\ntwo\n"


def test_anchors_and_merges_work_and_what_is_wrong_behind_an_alias_is_told_once(tmp_path):
    good = "base: &base {b: 1, c: 2}\na: {<<: *base, b: 3}\nlist: [*base, *base]\n"
    base = {"b": 1, "c": 2}
    assert read(tmp_path, good) == {"base": base, "a": {"b": 3, "c": 2}, "list": [base, base]}
    assert len(refused(tmp_path, good.replace("c: 2", "c: off"))) == 1


def test_a_document_that_explodes_by_aliases_is_read_in_no_time(tmp_path):
    names = "abcdefghijklmnopqrstuvwxyz"
    lines = [f"k{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in pairwise(names)]
    # 10^25 elements if they were copied
    assert len(read(tmp_path, "\n".join(["ka: &a [x]", *lines]))["kz"]) == 10


def test_everything_wrong_is_told_at_once(tmp_path):
    told = refused(tmp_path, "a: 12:30\nb: off\nc: {d: 010, d: 1}\n7: x\n")
    assert [line.split(": ")[:2] for line in told] == [
        ["line 1", "a"],
        ["line 2", "b"],
        ["line 3", "c.d"],
        ["line 3", "c.d"],
        ["line 4", "every key must be text; write it in quotes, got '7'"],
    ]


def test_no_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.yaml: file: must be an existing file"):
        read_yaml(tmp_path / "nothing.yaml")
    with pytest.raises(InputError, match=r"must be a readable UTF-8 text file .*Is a directory"):
        read_yaml(tmp_path)
