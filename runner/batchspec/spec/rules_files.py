"""Rules about paths: below the project, there when needed, and never overwriting what is read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from batchspec.problems import Problem
from batchspec.spec.contents import file_references, literal_files, outputs
from batchspec.spec.document import NodePath, dotted, shown
from batchspec.spec.paths import complaint, is_reserved, normal
from batchspec.spec.subject import Subject
from batchspec.spec.words import listing

FORMATS = (".jsonl", ".json", ".csv", ".parquet", ".duckdb")


def _named_paths(subject: Subject) -> Iterator[tuple[NodePath, str]]:
    """Yield every path that a spec names, globs and templates included."""
    yield from file_references(subject)
    yield from literal_files(subject)
    for path in (("inputs", "table"), ("inputs", "files")):
        value = subject.get(*path)
        if isinstance(value, str):
            yield path, value
    for number, glob in enumerate(subject.entries("inputs", "files")):
        if isinstance(glob, str):
            yield ("inputs", "files", number), glob
    for place, output in outputs(subject):
        if isinstance(output.get("path"), str):
            yield (*place, "path"), output["path"]


def paths_inside(subject: Subject) -> Iterator[Problem]:
    """Refuse paths that leave the project, or reach into what is not its content."""
    for place, text in _named_paths(subject):
        wrong = complaint(text, subject.root)
        if wrong is not None:
            yield subject.error(
                "path-outside-project",
                place,
                f"the path {shown(text)} {wrong}",
                f"A spec reads and writes only below the project, so that a review sees what it"
                f" touches. Give {dotted(place)} a path relative to the project's folder.",
            )
        elif is_reserved(text):
            yield subject.error(
                "reserved-path",
                place,
                f"the path {shown(text)} lies in a folder that is not the project's content",
                "The folders .batchspec and .git are kept by programs, and other files in them"
                " would be lost or do harm. Choose another folder.",
            )


def missing_files(subject: Subject) -> Iterator[Problem]:
    """Refuse ``{file: …}`` that names no file."""
    named = ((place[:-1], place, text) for place, text in file_references(subject))
    shown_whole = ((place, place, text) for place, text in literal_files(subject))
    for what_for, place, text in (*named, *shown_whole):
        path = subject.root / text
        if complaint(text, subject.root) is None and not path.is_file():
            what = "a folder" if path.is_dir() else "not there"
            yield subject.error(
                "missing-file",
                place,
                f"the file {shown(text)} is {what}",
                f"{dotted(what_for)} cannot be read without it. {_like(path)}",
            )


def _like(path: Path) -> str:
    """Return a sentence that names the file which was probably meant."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return (
            f"The folder {shown(path.parent.name)} is not there either. Paths start at the project."
        )
    near = difflib.get_close_matches(path.name, names, n=2, cutoff=0.6)
    if near:
        return f"Did you mean {listing(near, 'or')} in the same folder?"
    return "Create it, or correct the path. Paths start at the project's folder."


def output_format(subject: Subject) -> Iterator[Problem]:
    """Refuse an output whose ending names no format."""
    for place, output in outputs(subject):
        text = output.get("path")
        if not isinstance(text, str) or not text or "{{" in text:
            continue
        ending = PurePosixPath(text).suffix
        if ending not in FORMATS:
            what = f"ends in {shown(ending)}" if ending else "has no ending"
            yield subject.error(
                "output-format",
                (*place, "path"),
                f"the output {shown(text)} {what}",
                f"The ending chooses the format: {listing(FORMATS, 'or')}. For one file per item,"
                " write a template such as out/{{ key }}.md.",
            )


def output_over_input(subject: Subject) -> Iterator[Problem]:
    """Refuse an output that would replace what the spec reads."""
    read = {normal(text): place for place, text in file_references(subject)}
    table = subject.get("inputs", "table")
    if isinstance(table, str):
        read[normal(table)] = ("inputs", "table")
    for place, output in outputs(subject):
        text = output.get("path")
        source = read.get(normal(text)) if isinstance(text, str) else None
        if source is not None:
            yield subject.error(
                "output-over-input",
                (*place, "path"),
                f"the output {shown(text)} is also what {dotted(source)} reads",
                "The run would replace its own inputs. Write to another file.",
            )
