"""What answers and counted requests say about the guess of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from typing import Literal, NamedTuple

from batchspec.records import frozen
from batchspec.spec.facts import CHARS_PER_TOKEN

REQUEST_TOKENS = 8
"""Overhead of roles and turns that no character of the text stands for."""
UNCALIBRATED = (Decimal("0.75"), Decimal("1.25"))
CALIBRATED = (Decimal("0.95"), Decimal("1.1"))
"""Least and most input tokens as a share of the guess, without and with past answers."""
MANY = 30
"""So many answers, or counted requests, make a guess a calibrated one."""


class Told(NamedTuple):
    """One request by what it was guessed, and what it really used."""

    chars: int
    """Characters that count (`plan.estimate.estimate_chars`)."""
    tokens: int
    """Tokens of its prompt."""
    images: int = 0
    documents: int = 0
    """Files of unknown size in it."""


@frozen
class FileUse:
    """What files of unknown size really used."""

    mean: Decimal
    """Tokens of one of them."""
    most: int
    """The most tokens that one had, on the average of its request."""
    requests: int
    """So many requests tell."""

    @property
    def enough(self) -> bool:
        """Whether a highest price may stand on it."""
        return self.requests >= MANY


@frozen
class Calibration:
    """What past answers of the same spec say about the guess."""

    input_ratio: Decimal = Decimal(1)
    """Real prompt tokens divided by guessed ones."""
    input_most: Decimal = Decimal(1)
    """The largest such ratio of one request; not below ``input_ratio``."""
    output_tokens: Decimal | None = None
    """Mean output tokens of an answer; None: no answers yet."""
    output_percentile: int = 0
    """95 % of the answers have at most so many output tokens."""
    hit_rate: Decimal | None = None
    """Share of cacheable prefixes that came from the cache; None: nothing was cached."""
    searches: Decimal = Decimal(0)
    """Web searches of an answer, on average."""
    most_searches: int = 0
    """The most that one made."""
    answers: int = 0
    """How many answers were looked at."""
    counted: int = 0
    """How many requests the API itself counted; the ratios are theirs then."""
    images: FileUse | None = None
    """What pictures of unknown size really used; None: no request with any was looked at."""
    documents: FileUse | None = None
    """The same of documents."""

    def spread(self) -> tuple[Decimal, Decimal]:
        """Return the least and the most input tokens as a share of the corrected guess.

        The most is what a ceiling stands on, so it follows the worst request seen.
        """
        if not self.answers and not self.counted:
            return UNCALIBRATED
        least, most = CALIBRATED if max(self.answers, self.counted) >= MANY else UNCALIBRATED
        return least, max(most, self.input_most / self.input_ratio)

    def notes(self) -> tuple[str, ...]:
        """Say what the estimate stands on, for the plan's reader."""
        notes = []
        ratio = f"{self.input_ratio.normalize():f} times"
        # Where every request shows files of unknown size, nothing is known of text alone.
        plain = self.input_ratio != 1 or not (self.images or self.documents)
        if self.counted:
            what = f": {ratio} what their characters suggest" if plain else ""
            notes.append(f"The API counted the input tokens of {_requests(self.counted)}{what}.")
        if self.answers:
            mean = (self.output_tokens or Decimal(0)).normalize()
            told = plain and not self.counted
            compared = f"{ratio} the input tokens that characters suggest, " if told else ""
            notes.append(
                f"Calibrated by {self.answers:,} {'answer' if self.answers == 1 else 'answers'} "
                f"of this spec: {compared}"
                f"{mean:f} output tokens on average, 95 % of them at most "
                f"{self.output_percentile:,}."
            )
        return tuple(notes)


def measured_ratio(tokens: int, chars: int, chars_per_token: Decimal) -> Decimal:
    """Return real prompt tokens, without the overhead of requests, by guessed ones.

    Rounded, so that it reads well and is the same on every machine.
    """
    ratio = Decimal(tokens) * chars_per_token / chars
    return max(ratio.quantize(Decimal("0.001")), Decimal("0.001"))


def learned(
    known: Calibration, told: Iterable[Told], tokenizer: Literal["old", "new"]
) -> Calibration:
    """Return a calibration whose input tokens are those of some requests.

    Text is judged by the requests without files of unknown size, as far as there are any; what the
    others have beyond their text is what their files used.

    Args:
        known: The rest of it stays.
        told: The requests.
        tokenizer: The generation of the model's tokenizer.
    """
    per_token = CHARS_PER_TOKEN[tokenizer]
    net = [one._replace(tokens=max(1, one.tokens - REQUEST_TOKENS)) for one in told]
    texts = [one for one in net if not one.images + one.documents]
    ratio = most = Decimal(1)
    if texts:
        chars, tokens = sum(one.chars for one in texts), sum(one.tokens for one in texts)
        ratio = measured_ratio(tokens, chars, per_token)
        most = max(measured_ratio(one.tokens, one.chars, per_token) for one in texts)
    images, documents = _files(net, ratio / per_token)
    return replace(
        known,
        input_ratio=ratio,
        input_most=max(ratio, most),
        images=images,
        documents=documents,
    )


def _files(net: Sequence[Told], per_char: Decimal) -> tuple[FileUse | None, FileUse | None]:
    """Return what pictures and documents used beyond the text of their requests.

    Requests that show both tell of one kind when the other one was met alone, else of both alike.
    """
    rest = [_Rest(max(Decimal(0), one.tokens - one.chars * per_char), *one[2:]) for one in net]
    both = [one for one in rest if one.images and one.documents]
    images = _use([one for one in rest if one.images and not one.documents])
    documents = _use([one for one in rest if one.documents and not one.images])
    if both and images is not None:
        left = [one.less(images.mean * one.images)._replace(images=0) for one in both]
        documents = _use([*left, *(one for one in rest if one.documents and not one.images)])
    elif both and documents is not None:
        images = _use(
            [one.less(documents.mean * one.documents)._replace(documents=0) for one in both]
        )
    elif both:
        images = documents = _use(both)
    return images, documents


class _Rest(NamedTuple):
    """What a request used beyond its text, and how many files that was for."""

    tokens: Decimal
    images: int
    documents: int

    def less(self, tokens: Decimal) -> _Rest:
        return self._replace(tokens=max(Decimal(0), self.tokens - tokens))


def _use(shown: Sequence[_Rest]) -> FileUse | None:
    if not shown:
        return None
    files = [one.images + one.documents for one in shown]
    most = max(one.tokens / count for one, count in zip(shown, files, strict=True))
    return FileUse(
        mean=(sum((one.tokens for one in shown), Decimal(0)) / sum(files)).quantize(Decimal(1)),
        most=int(most.to_integral_value(rounding=ROUND_CEILING)),
        requests=len(shown),
    )


def by_count(
    known: Calibration, counted: Sequence[Told], tokenizer: Literal["old", "new"]
) -> Calibration:
    """Return a calibration whose input tokens are those that the API counted.

    Args:
        known: What past answers say; the rest of it stays.
        counted: The requests that it counted.
        tokenizer: The generation of the model's tokenizer.
    """
    return replace(learned(known, counted, tokenizer), counted=len(counted))


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"
