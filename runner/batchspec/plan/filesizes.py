"""What pictures and documents of unknown size are taken for (`prompt.unsized`).

The highest price takes what the facts allow at most: a picture is no larger than the API accepts,
and no request is longer than the model's window. The expected price takes what was measured of such
files, else what the spec assumes, else nothing: how large they are usually is on no record.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from batchspec.plan.calibration import REQUEST_TOKENS, Calibration, FileUse
from batchspec.plan.sizes import Job, Sizes, Weights
from batchspec.prompt.shelf import LARGE_CONTEXT, MAX_PIXELS, MOST_IMAGE_TOKENS
from batchspec.records import frozen
from batchspec.spec.facts import CHARS_PER_TOKEN
from batchspec.spec.words import listing

_MARGIN = Decimal("1.1")
"""The highest price takes a tenth more than the largest file that was measured, as of text."""


@frozen
class FileTokens:
    """Tokens that a file of unknown size is taken for, and why."""

    tokens: int
    why: str
    """To stand behind the number, in brackets; empty: nothing is taken."""


def window_of(job: Job) -> int:
    """Return the tokens of the model's window; of one without a record, the largest on record."""
    return LARGE_CONTEXT if job.context is None else job.context


def tool_tokens(job: Job, known: Calibration) -> int:
    """Return what tools add to a request, unless what was measured includes it."""
    measured = known.input_ratio != 1 or known.images or known.documents
    return 0 if measured else job.tool_tokens


def expected_files(job: Job, known: Calibration) -> tuple[FileTokens, FileTokens]:
    """Return what the expected price takes for a picture, and for a document."""
    source = _source(known)
    most = highest_files(job, known)
    return (
        _expected(known.images, job.image_tokens, source, most[0]),
        _expected(known.documents, job.document_tokens, source, most[1]),
    )


def highest_files(job: Job, known: Calibration) -> tuple[FileTokens, FileTokens]:
    """Return what the highest price takes for a picture, and for a document."""
    window = window_of(job)
    of_model = "the model's window" if job.context else "the largest window on record"
    largest = f"{MAX_PIXELS:,} x {MAX_PIXELS:,} pixels, the largest that the API takes"
    image = FileTokens(tokens=MOST_IMAGE_TOKENS, why=largest)
    document = FileTokens(tokens=window, why=of_model)
    source = _source(known)
    return (
        _highest(known.images, source, document if window < MOST_IMAGE_TOKENS else image),
        _highest(known.documents, source, document),
    )


def expected_weights(job: Job, known: Calibration) -> Weights:
    """Return by what requests are summed up for the expected price."""
    image, document = expected_files(job, known)
    return _weights(job, known, Decimal(1), (image.tokens, document.tokens))


def highest_weights(job: Job, known: Calibration) -> Weights:
    """Return by what requests are summed up for the highest price."""
    image, document = highest_files(job, known)
    _, most = known.spread()
    return _weights(job, known, most, (image.tokens, document.tokens))


def file_notes(sizes: Sizes, job: Job, known: Calibration) -> tuple[str, ...]:
    """Say what files of unknown size are taken for, for the plan's reader."""
    notes = []
    for shown in _shown(sizes, job, known):
        taken = f"takes {shown.expected.tokens:,} tokens each ({shown.expected.why})"
        if not shown.expected.why:
            taken = f"takes nothing for them (`assume.{shown.setting}` is not set)"
        notes.append(
            f"The prompts show {shown.name} of unknown size: the expected price {taken}, the"
            f" highest price {shown.highest.tokens:,} tokens each ({shown.highest.why})."
        )
    return tuple(notes)


def file_summary(sizes: Sizes, job: Job, known: Calibration) -> str:
    """Say the same in a sentence."""
    parts = [
        f"for {shown.name} {shown.expected.tokens:,} and {shown.highest.tokens:,} tokens each"
        for shown in _shown(sizes, job, known)
    ]
    return f"The expected and the highest price take {listing(parts, 'and')}."


@frozen
class _Shown:
    """Files of one kind whose size is unknown."""

    name: str
    """How many there are."""
    setting: str
    expected: FileTokens
    highest: FileTokens


def _shown(sizes: Sizes, job: Job, known: Calibration) -> Iterator[_Shown]:
    expected, highest = expected_files(job, known), highest_files(job, known)
    kinds = (
        ("picture", "image_tokens", sizes.images),
        ("document", "document_tokens", sizes.documents),
    )
    for (noun, setting, count), likely, most in zip(kinds, expected, highest, strict=True):
        if count:
            name = f"{count:,} {noun if count == 1 else f'{noun}s'}"
            yield _Shown(name=name, setting=setting, expected=likely, highest=most)


def all_measured(sizes: Sizes, known: Calibration) -> bool:
    """Tell whether enough was measured of every kind of file whose size is unknown."""
    kinds = ((sizes.images, known.images), (sizes.documents, known.documents))
    return all(use is not None and use.enough for count, use in kinds if count)


def _source(known: Calibration) -> str:
    return "counted requests" if known.counted else "answers"


def _expected(
    use: FileUse | None, assumed: int | None, source: str, most: FileTokens
) -> FileTokens:
    if use is not None:
        why = f"the mean of {use.requests:,} {source}"
        return FileTokens(tokens=min(int(use.mean), most.tokens), why=why)
    if assumed is not None:
        return FileTokens(tokens=min(assumed, most.tokens), why="as the spec assumes")
    return FileTokens(tokens=0, why="")


def _highest(use: FileUse | None, source: str, facts: FileTokens) -> FileTokens:
    if use is None or not use.enough:
        return facts
    tokens = int((use.most * _MARGIN).to_integral_value(rounding=ROUND_CEILING))
    why = f"a tenth above the largest of {use.requests:,} {source}"
    return facts if tokens >= facts.tokens else FileTokens(tokens=tokens, why=why)


def _weights(job: Job, known: Calibration, factor: Decimal, files: tuple[int, int]) -> Weights:
    """Return weights for a guess that is ``factor`` times as long as characters suggest."""
    per_token = CHARS_PER_TOKEN[job.tokenizer] / (known.input_ratio * factor)
    overhead = (REQUEST_TOKENS + tool_tokens(job, known)) * factor
    step = None if job.prices is None else job.prices.step_tokens

    def chars(tokens: Decimal, rounding: str) -> int:
        return int((tokens * per_token).to_integral_value(rounding=rounding))

    image, document = (chars(Decimal(tokens), ROUND_CEILING) for tokens in files)
    return Weights(
        step_chars=None if step is None else chars(step - overhead, ROUND_FLOOR),
        image=image,
        document=document,
        window=max(0, chars(window_of(job) - overhead, ROUND_CEILING)),
    )
