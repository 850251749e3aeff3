"""The version of the plugin contract: what plugins may rely on, as one number.

A plugin states the contract that it was written for, once, at the top of its module::

    colorpipe_contract = 1

Whatever is added to the public API keeps the number. It rises when a plugin that was written for the number before
could stop working: a name, a parameter or a promise is gone. That happens by the deprecation rule alone: what goes is
announced in CHANGELOG under "Deprecated" and warns with ``DeprecationWarning`` for at least two minor releases and six
months, and it names what to use instead.

A plugin for a later contract than ``CONTRACT``, or an earlier one than ``OLDEST_CONTRACT``, is not loaded; it is a row
in ``colorpipe plugins`` that says what to update. One that states nothing is taken to be for the current contract.
"""

from __future__ import annotations

from typing import Any

from colorpipe._version import __version__

CONTRACT = 1
"""The contract of this colorpipe."""
OLDEST_CONTRACT = 1
"""The earliest contract that it still keeps."""
ATTRIBUTE = "colorpipe_contract"
"""Name of the attribute that holds the number in a plugin's module."""


def contract_mismatch(module: Any) -> str:
    """Why a plugin's module cannot be used with this colorpipe, in one line; empty when it can."""
    stated = getattr(module, ATTRIBUTE, None)
    if stated is None:
        return ""
    if not isinstance(stated, int) or isinstance(stated, bool):
        return f"{ATTRIBUTE} is a whole number, such as {CONTRACT}, not {stated!r}"
    if stated > CONTRACT:
        return f"it is for plugin contract {stated}, colorpipe {__version__} has {CONTRACT}: update colorpipe"
    if stated < OLDEST_CONTRACT:
        kept = f"{OLDEST_CONTRACT} to {CONTRACT}" if OLDEST_CONTRACT < CONTRACT else f"{CONTRACT} alone"
        return f"it is for plugin contract {stated}, colorpipe {__version__} keeps {kept}: update the plugin"
    return ""
