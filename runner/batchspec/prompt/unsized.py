"""Pictures and documents of a request whose size a plan cannot know.

They are named by an address, or by the id of a file that the project did not upload, or their bytes
do not say how large they are. Inside a JSON text every quote is escaped, so none looks like one.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Self

SOURCE = b'"source":'
"""Stands before each picture and document of a request."""
_BY_ADDRESS = b'"source":{"type":"url"'
_STRING = rb'"(?:[^"\\]|\\.)*"'
_ID = rb'"file_id":' + _STRING + rb',"type":"file"'
_ADDRESS = rb'"type":"url","url":' + _STRING
_BY_NAME = re.compile(rb'"source":\{(?:%s|%s)\}(,"type":"image")?' % (_ID, _ADDRESS))


class Unsized(NamedTuple):
    """So many files of unknown size. A named tuple: a plan makes millions."""

    images: int = 0
    documents: int = 0

    def with_file(self, *, image: bool) -> Self:
        """Return the same with one more."""
        if image:
            return self._replace(images=self.images + 1)
        return self._replace(documents=self.documents + 1)


NONE = Unsized()


def named(request: bytes, *, ids: bool = True) -> Unsized:
    """Return how many files the canonical JSON of a request names by address or id.

    Args:
        request: The request.
        ids: Count those that are named by id, too.
    """
    found = [
        match[1] is not None
        for match in _BY_NAME.finditer(request)
        if ids or match[0].startswith(_BY_ADDRESS)
    ]
    return Unsized(sum(found), len(found) - sum(found)) if found else NONE
