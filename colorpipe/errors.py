"""Every error that colorpipe raises on purpose.

::

    ColorpipeError                 one line for a person, plus what to do next
    ├── UsageError                 the call was wrong; nothing was started
    │   └── OptionError            an option's value is not acceptable
    ├── PluginError                a plugin is missing, broken or breaks its contract
    ├── InputError                 one input cannot be read
    │   └── LimitError             one input is larger than a limit allows
    ├── OutputError                a result cannot be written
    ├── WeightsError               weights are missing, damaged or of another network
    ├── DeviceError                a device is absent, or ran out of memory
    └── TrainingError              training cannot start or go on

They are caught in three places: plugin loading (recorded as a row), the runner around one input (that input
fails, the others go on) and ``cli.main`` (one line, exit status 2). Anything else is a bug and keeps its traceback.
"""

from __future__ import annotations


class ColorpipeError(Exception):
    """An error in one line: it names the thing at fault and says what to do about it.

    ``hint`` is the next step; it is printed after the message.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint)


def _rebuild(kind: type[ColorpipeError], message: str, hint: str) -> ColorpipeError:
    return kind(message, hint=hint)


class UsageError(ColorpipeError):
    """The call was wrong: an unknown name, flag or combination. Nothing was started."""


class OptionError(UsageError):
    """An option's value is of the wrong type or out of its range."""


class PluginError(ColorpipeError):
    """A plugin is missing, cannot be loaded or breaks its contract."""


class InputError(ColorpipeError):
    """One input cannot be read: it is damaged, of an unknown format, or not there."""


class LimitError(InputError):
    """One input is larger than a limit allows; the hint names the option that raises it."""


class OutputError(ColorpipeError):
    """A result cannot be written."""


class WeightsError(ColorpipeError):
    """Weights are missing, damaged, or belong to another network."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        # names of tensors are the file's: in a damaged one they may hold anything, and the message is one line
        super().__init__("".join(c if c >= " " and c != "\x7f" else ascii(c)[1:-1] for c in message), hint=hint)


class DeviceError(ColorpipeError):
    """A device is absent, or cannot hold even one picture."""


class TrainingError(ColorpipeError):
    """Training cannot start or go on."""


def oneline(error: BaseException, most: int = 200) -> str:
    """An exception's message in one line of at most ``most`` characters; its type where it has no message."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else f"{text[:most]}.."
