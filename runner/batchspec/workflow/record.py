"""Recording: what was asked and answered, as a file that the emulator answers from.

Each line has the digest of the params, as the emulator computes it, the part of our ``custom_id``
that names the question, and the result as the API sent it. The part alone is enough: it still fits
when ids of uploaded files differ, and when the request is not on disk here. Answers are recorded in
the order in which they came, so that a replay repeats the retries too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from batchspec.api.port import ApiFailure, ProcessingStatus
from batchspec.durable import write_file
from batchspec.errors import UsageFailure
from batchspec.outputs.rows import Oddity, read_head
from batchspec.plan.hashing import parse_custom_id
from batchspec.state.model import Submission
from batchspec.workflow.context import Session
from batchspec.workflow.listing import split_lines
from batchspec.workflow.patience import as_failure

_KEY_SHAPE = re.compile(rb"sk-ant-[A-Za-z0-9_\-]+")
_REDACTED = b"[redacted]"


class Question(NamedTuple):
    """What is written of a request."""

    digest: str
    """Hex SHA-256 of its params as compact JSON with sorted keys."""
    params: bytes | None
    """The params themselves; None unless they were asked for."""


@dataclass(slots=True, kw_only=True)
class Recorder:
    """Turns requests and result lines into lines of a recording.

    Attributes:
        with_params: Write the params beside their digest.
        answers: Lines written.
        unmatched: Result lines whose request is not known here.
        unreadable: Result lines that are no clean JSON.
        redacted: Lines in which something that looks like a key was replaced.
    """

    with_params: bool
    answers: int = 0
    unmatched: int = 0
    unreadable: int = 0
    redacted: int = 0
    _asked: dict[str, Question] = field(default_factory=dict)

    def ask(self, requests: Iterable[bytes]) -> None:
        """Take in the requests of one batch, as JSON lines of ``custom_id`` and ``params``.

        Raises:
            UsageFailure: a line is not a request.
        """
        self._asked = {}
        for number, line in enumerate(requests, 1):
            try:
                request = orjson.loads(line)
                custom_id, params = request["custom_id"], request["params"]
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise UsageFailure(
                    f"Line {number} of the requests is not a request: it has to be a JSON object "
                    "with custom_id and params.",
                    hint="`jq -c '.requests[]' body.json` makes such lines of a create body.",
                ) from error
            canonical = orjson.dumps(params, option=orjson.OPT_SORT_KEYS)
            digest = hashlib.sha256(canonical).hexdigest()
            self._asked[custom_id] = Question(digest, canonical if self.with_params else None)

    def answer(self, results: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the recording's lines for one batch's result lines; odd lines are left out."""
        for line in results:
            head = read_head(line)
            if isinstance(head, Oddity):
                continue
            ours = parse_custom_id(head.custom_id)
            question = self._asked.get(head.custom_id)
            if question is None and ours is None:
                self.unmatched += 1
                continue
            try:
                entry = _entry(question, None if ours is None else ours.h26, line)
            except orjson.JSONDecodeError:  # lone surrogates, which a line may have
                self.unreadable += 1
                continue
            self.answers += 1
            yield self._clean(entry)

    def _clean(self, line: bytes) -> bytes:
        clean, count = _KEY_SHAPE.subn(_REDACTED, line)
        self.redacted += bool(count)
        return clean


def _entry(question: Question | None, part: str | None, line: bytes) -> bytes:
    entry: dict[str, Any] = {}
    if question is not None:
        entry["params_sha256"] = question.digest
    if part is not None:
        entry["custom_id_part"] = part
    if question is not None and question.params is not None:
        entry["params"] = orjson.Fragment(question.params)
    entry["result"] = orjson.loads(line)["result"]
    return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)


def record_state(session: Session, target: Path, *, with_params: bool) -> Recorder:
    """Write what this project's state has of answers to ``target``; return what was done.

    Raises:
        UsageFailure: the state has no answers.
        StateFailure: a segment is damaged.
        DiskFailure: the file cannot be written; it is then as it was before.
    """
    reader = session.reader()
    collected = () if reader is None else reader.submissions()
    collected = tuple(submission for submission in collected if submission.results is not None)
    if not collected:
        raise UsageFailure(
            "There is nothing to record: this state has no answers yet.",
            hint="`batchspec run` makes them; `record` costs nothing.",
        )
    recorder = Recorder(with_params=with_params)
    write_file(target, _of_submissions(session, collected, recorder))
    return recorder


def _of_submissions(
    session: Session, collected: Iterable[Submission], recorder: Recorder
) -> Iterator[bytes]:
    for submission in collected:
        requests = submission.segment
        recorder.ask(() if requests is None else session.segments.lines(requests))
        if submission.results is not None:
            yield from recorder.answer(session.segments.lines(submission.results))


def record_files(requests: Path, results: Path, target: Path, *, with_params: bool) -> Recorder:
    """Write what another program asked and was answered to ``target``; return what was done.

    Args:
        requests: JSON lines of ``custom_id`` and ``params``.
        results: The results of the batch as the API sent them.
        target: The recording.
        with_params: Write the params too.

    Raises:
        UsageFailure: a file is missing, or has no requests.
        DiskFailure: the recording cannot be written; it is then as it was before.
    """
    return _record_batch(requests, lambda: _lines(results), target, with_params=with_params)


def record_batch(
    session: Session, requests: Path, batch_id: str, target: Path, *, with_params: bool
) -> Recorder:
    """Write what a batch of another program was asked and answered; the API gives the answers.

    Raises:
        UsageFailure: the batch has not ended, or the requests are not a file of requests.
        NetworkFailure: the API does not give the results.
        DiskFailure: the recording cannot be written; it is then as it was before.
    """

    def results() -> Iterator[bytes]:
        try:
            batch = session.api().retrieve(batch_id)
            if batch.status is not ProcessingStatus.ENDED:
                raise UsageFailure(f"Batch {batch_id} has not ended, so it has no results yet.")
            with session.api().results(batch) as stream:
                yield from split_lines(stream.pieces)
        except ApiFailure as failure:
            raise as_failure(failure, f"reading the results of {batch_id}") from failure

    return _record_batch(requests, results, target, with_params=with_params)


def _record_batch(
    requests: Path, results: Callable[[], Iterator[bytes]], target: Path, *, with_params: bool
) -> Recorder:
    recorder = Recorder(with_params=with_params)
    recorder.ask(_lines(requests))
    write_file(target, recorder.answer(results()))
    return recorder


def _lines(path: Path) -> Iterator[bytes]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageFailure(f"{path} cannot be read: {error.strerror}.") from error
    with closing(file):
        for line in file:
            if line.strip():
                yield line
