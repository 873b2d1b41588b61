"""What files and documents refuse is answered by the code that the refusal itself has."""

from __future__ import annotations

import pytest

from weft.server.api.refusing import answered
from weft.server.documents.errors import DocumentError
from weft.server.files.errors import FilesError
from weft.server.files.remote import StoreFails
from weft.server.problems import TITLES, ApiError


@pytest.mark.parametrize("kind", [*DocumentError.__subclasses__(), *FilesError.__subclasses__()])
def test_a_refusal_has_a_known_code_and_its_status(kind: type[DocumentError] | type[FilesError]) -> None:
    if kind is not StoreFails:
        assert TITLES[kind.code][0] == kind.status


def test_a_store_far_away_that_fails_is_no_fault_of_the_client() -> None:
    with pytest.raises(ApiError) as refused, answered():
        raise StoreFails("The store of files is not there.")
    error = refused.value
    assert (error.status_code, error.code, error.detail) == (503, "unavailable", "The store of files is not there.")
    assert error.headers is not None
    assert error.headers["Retry-After"] == "5"
