"""The contract of every medium: a source gives frames, a sink takes them back with colour."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from colorpipe._version import __version__

if TYPE_CHECKING:
    from typing_extensions import Self

    from colorpipe.types import Encoding, Frame


@dataclass(frozen=True)
class Provenance:
    """A result's statement of how it was made, so that an archive can tell it from an original."""

    recipe_digest: str
    """``Recipe.digest()``."""
    software: str = f"colorpipe {__version__}"


@dataclass(frozen=True)
class SourceInfo:
    """Facts that are known before the first frame is read."""

    medium: Literal["still", "video"]
    width: int
    """Size as shown: after EXIF orientation. A video's rotation is a tag and is kept as one."""
    height: int
    frames: int | None = 1
    """None where the container does not tell; otherwise an estimate good enough for a progress bar."""
    rate: Fraction | None = None
    """Average frames per second."""
    notes: tuple[str, ...] = ()
    """Remarks for a person, one sentence each: 'first of 3 pages'."""
    warning: str = ""
    """What a person should know before the work is done."""


class Source(abc.ABC):
    """One file, opened for reading. Iterating gives its frames in order, once. A context manager: leaving it closes.

    Raises (from the opening function or while iterating):
        InputError: the file cannot be read, in one line that names it.
    """

    path: Path
    info: SourceInfo

    @property
    def has_colour(self) -> bool:
        """Whether a film has colours already; known once its frames were given."""
        return False

    @abc.abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    @abc.abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Sink(abc.ABC):
    """One result, whole or not at all: written beside its place, renamed there by ``commit``.

    A context manager: leaving it without an exception commits, with one aborts.
    """

    path: Path
    """The path of the result."""
    encoding: Encoding | None = None
    """The encoding that frames must have where it is not the source's (other chroma subsampling); None takes any."""
    notes: tuple[str, ...] = ()
    """Remarks for a person: a stream that could not be copied, and why."""
    start: int = 0
    """Frames that an earlier run left whole: ``write`` goes on after them."""
    state: bytes = b""
    """The state that run gave ``write`` with the last of them."""
    kept: int = 0
    """Frames that ``abort`` leaves for the next run to go on after."""

    @abc.abstractmethod
    def write(self, frame: Frame, state: bytes | None = b"") -> None:
        """Take the next frame, in order, with its colour.

        Args:
            state: What another run needs to know to go on after this frame; None where it cannot.

        Raises:
            OutputError: it cannot be written.
        """

    @abc.abstractmethod
    def commit(self) -> None:
        """Finish and put the file in its place.

        Raises:
            OutputError: it cannot be finished; nothing is left behind.
        """

    @abc.abstractmethod
    def abort(self) -> None:
        """Leave nothing behind, but for ``kept`` frames where the sink was made for a job that can be taken up."""

    def tidy(self) -> None:  # noqa: B027 - most results leave nothing to tidy
        """Remove the data that only a restart needs: called once the result is in place and recorded."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
            self.tidy()
        else:
            self.abort()
