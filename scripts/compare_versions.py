"""Compare what two versions of this program make: masters, records, stores, sites, messages and exit codes.

    python scripts/compare_versions.py snapshot --tree PATH --out BEFORE.json    # minutes; --small: seconds
    python scripts/compare_versions.py diff BEFORE.json AFTER.json               # exit code 1 if anything differs
    python scripts/compare_versions.py expect                                    # write tests/data/unchanged.json anew

A tree is a checkout of this repository. Take both snapshots on one machine and with the same packages, since pixels
depend on the processor and on torch. `versions_snapshot.py` says what a snapshot holds, `versions_cases.py` of which
targets, configurations and command lines.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Any

from versions_snapshot import take_expectations, take_snapshot

ROOT = Path(__file__).resolve().parent.parent
EXPECTED = ROOT / "tests" / "data" / "unchanged.json"
LONGEST_LINE = 160  # characters that are printed
_READ_ALOUD = frozenset({"alt", "aria-label", "content", "placeholder", "title"})  # attributes that hold words
_PIECE = re.compile(r"(?<=[,;{}>\n])")


def main() -> None:
    options = read_options()
    if options.command == "snapshot":
        snapshot = take_snapshot(options.tree, small=options.small)
        write_json(options.out, snapshot)
        print(f"{options.out}: {counts(snapshot)}; seconds: {snapshot['about']['seconds']}")
        failed = [f"{name}: {end['stderr']}" for name, end in snapshot["runs"].items() if end["exit code"]]
        print(*failed, sep="\n", end="\n" if failed else "")
    elif options.command == "expect":
        EXPECTED.write_text(format_expectations(take_expectations(ROOT)))
    else:
        before, after = (json.loads(file.read_bytes()) for file in (options.before, options.after))
        sys.exit(print_differences(before, after, items=options.items, lines=options.lines))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    snapshot = commands.add_parser("snapshot", help="write down what a version makes")
    snapshot.add_argument("--tree", type=Path, default=ROOT, help="root of its source tree (default: this one)")
    snapshot.add_argument("--out", type=Path, required=True, help="file to write")
    snapshot.add_argument("--small", action="store_true", help="a few masters and commands, and the sample site")
    diff = commands.add_parser("diff", help="say what differs between two snapshots")
    diff.add_argument("before", type=Path)
    diff.add_argument("after", type=Path)
    diff.add_argument("--items", type=int, default=20, help="that are shown of each part (default: 20)")
    diff.add_argument("--lines", type=int, default=20, help="that are shown of each item (default: 20)")
    commands.add_parser("expect", help=f"write {EXPECTED.relative_to(ROOT)} anew")
    return parser.parse_args()


def write_json(file: Path, data: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")


def counts(snapshot: Mapping[str, Any]) -> str:
    return ", ".join(f"{len(items)} {part}" for part, items in snapshot.items() if part != "about")


def format_expectations(expectations: Mapping[str, Mapping[str, object]]) -> str:
    """JSON with one line for each record, so that a change of one is a change of one line."""
    parts = []
    for part, items in expectations.items():
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(item)}" for name, item in items.items())
        parts.append(f" {json.dumps(part)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def print_differences(before: dict[str, Any], after: dict[str, Any], *, items: int, lines: int) -> int:
    """Print what differs, part by part.

    Returns:
        The exit code: 1 if something differs.
    """
    about, other = (dict(snapshot.pop("about"), seconds=None) for snapshot in (before, after))
    for line in differences(about, other):
        print(f"made in different ways: {line}")
    is_same = True
    for part in unite(before, after):
        is_same &= print_part(part, before.get(part, {}), after.get(part, {}), items=items, lines=lines)
    return 0 if is_same else 1


def print_part(part: str, before: Mapping[str, Any], after: Mapping[str, Any], *, items: int, lines: int) -> bool:
    """Print what differs in a part; returns whether it is the same."""
    differing = [name for name in unite(before, after) if before.get(name) != after.get(name)]
    print(f"{part}: {len(before)} before, {len(after)} after, {len(differing)} differ")
    for name in differing[:items]:
        if name not in after or name not in before:
            print(f"  {name}: only {'before' if name in before else 'after'}")
            continue
        print(f"  {shorten(name)}")
        print_lines(item_differences(name, before[name], after[name]), lines)
    if len(differing) > items:
        print(f"  … and {len(differing) - items} more")
    return not differing


def print_lines(found: Iterator[str], most: int) -> None:
    """Print at most so many lines, indented, and whether there are more."""
    for line in islice(found, most):
        print(f"    {shorten(line)}")
    if next(found, None) is not None:
        print("    …")


def item_differences(name: str, before: Any, after: Any) -> Iterator[str]:
    """What differs between two versions of a file: in what it says, or else in how that is written."""
    said = [*differences(readable(name, before), readable(name, after))]
    yield from said or differences(before, after)


def differences(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """What differs between two values, a line each: where, and both values; of long texts a unified diff."""
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in unite(before, after):
            yield from differences(before.get(key), after.get(key), f"{where}.{key}" if where else key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for at, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{where}[{at}]")
    elif isinstance(before, str) and isinstance(after, str) and max(len(before), len(after)) > LONGEST_LINE // 2:
        found = difflib.unified_diff(split_pieces(before), split_pieces(after), lineterm="", n=1)
        if where:
            yield f"{where}:"
        yield from islice(found, 2, None)  # without the names of files
    else:
        yield f"{where}: {json.dumps(before, ensure_ascii=False)} → {json.dumps(after, ensure_ascii=False)}"


def split_pieces(text: str) -> list[str]:
    """Pieces of a text or of code that a person can compare; lines of code may be long."""
    return [piece.removesuffix("\n") for piece in _PIECE.split(text)]


def readable(name: str, content: Any) -> Any:
    """The content of a file as what it says: JSON parsed; of a page its text before its source."""
    if isinstance(content, str) and name.endswith(".json"):
        return json.loads(content)
    if isinstance(content, str) and name.endswith(".html"):
        return {"text": visible_text(content), "HTML": content}
    return content


def visible_text(page: str) -> str:
    """What a page says to a person, a line for each piece of text."""
    parser = _Words()
    parser.feed(page)
    return "\n".join(parser.words)


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._is_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_code = tag in ("script", "style")
        self.words += [value for name, value in attrs if name in _READ_ALOUD and value]

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  # the parser's interface
        self._is_code = False

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text and not self._is_code:
            self.words.append(text)


def unite(before: Iterable[str], after: Iterable[str]) -> list[str]:
    """The keys of both, in their order."""
    return [*dict.fromkeys([*before, *after])]


def shorten(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


if __name__ == "__main__":
    main()
