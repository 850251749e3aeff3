"""The list of what is wrong in libraries: each entry is still true. One that fails here may go, with its detour."""

from __future__ import annotations

import pytest

from colorpipe.media.still.known_faults import KNOWN_FAULTS, KnownFault


@pytest.mark.parametrize("fault", KNOWN_FAULTS, ids=lambda fault: fault.what[:40])
def test_the_library_still_has_the_fault(fault: KnownFault) -> None:
    assert fault.is_there(), f"{fault.library} is mended: {fault.what}. This entry may go, and: {fault.instead}"
