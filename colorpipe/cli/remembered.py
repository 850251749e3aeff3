"""Answers that are the same until something is installed or edited: every ``--help``, and the table of plugins.

The first one imports all plugins to ask them; its text is kept in the cache, and later ones import next to nothing.
An answer is given again only while everything that it came from is as it was: Python and the folders that it imports
from, the distributions in them, all files of the modules and plugins that were loaded (by size and time of change),
the terminal and the environment's variables that colour and width depend on. Otherwise it is made anew. Where the
cache cannot be written, or a plugin is broken, nothing is kept.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from colorpipe._version import __version__

if TYPE_CHECKING:
    from colorpipe.plugins.host import PluginHost

FORMAT = 1
MOST = 24
"""Answers that are kept, each a few kilobytes; the oldest go first."""
SETTLED = 2 * 10**9
"""Nanoseconds. Of a file that was changed later than so long before the start, the text may be older than its time of
change says: the answer is not kept."""
_HELP = frozenset({"-h", "--help", "--help-all"})
_FILES = ("--plugin", "--recipe")
"""Flags whose files decide about an answer."""
_VARIABLES = (
    "COLUMNS", "LINES", "TERM", "NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE",
    "GITHUB_ACTIONS", "PY_COLORS", "TERMINAL_WIDTH", "_TYPER_FORCE_DISABLE_TERMINAL", "TYPER_USE_RICH",
    "LANG", "LC_ALL", "LC_CTYPE", "PYTHONIOENCODING", "PYTHONUTF8", "JUPYTER_COLUMNS", "WT_SESSION", "HOME",
)  # fmt: skip

Answer = Callable[[list[str], "Callable[[PluginHost], None]"], int]
"""Runs a command line and tells about the plugins that it loads; gives the exit status."""


def answer(words: list[str], run: Answer) -> int:
    """Run a command line, or repeat what it said when nothing that it depends on has changed since.

    Returns:
        The exit status.
    """
    if not _is_lasting(words):
        return run(words, lambda host: None)
    began, key = time.time_ns(), _key(words)
    file = os.path.join(_folder(), f"{zlib.crc32(key.encode('utf-8', 'replace')):08x}.json")
    text = _recall(file, key)
    if text is not None:
        sys.stdout.write(text)
        return 0
    hosts: list[PluginHost] = []
    out, err = sys.stdout, sys.stderr
    told, complained = _Copy(out), _Copy(err)
    sys.stdout, sys.stderr = told, complained
    try:
        status = run(words, hosts.append)
    finally:
        sys.stdout, sys.stderr = out, err
    sound = status == 0 and hosts and not complained.text and not any(row.error for row in hosts[0].rows)
    if sound:
        _keep(file, key, "".join(told.text), _sources(hosts[0]), began)
    return status


class _Copy:
    """A stream that also keeps what is written to it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.text: list[str] = []

    def write(self, text: str) -> int:
        count = int(self._stream.write(text))  # refuses what is no text
        self.text.append(text)
        return count

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _is_lasting(words: list[str]) -> bool:
    if not isinstance(sys.stdout, io.TextIOWrapper) or not isinstance(sys.stderr, io.TextIOWrapper):
        return False
    if os.name == "nt" and sys.stdout.isatty():
        return False  # an old console is drawn by calls, not by text
    if any(word.startswith(_FILES) for word in words):
        return False
    return words in ([], ["plugins"], ["plugins", "list"]) or words[-1] in _HELP


def _key(words: list[str]) -> str:
    """Everything but the loaded files that decides about an answer."""
    streams = [sys.__stdin__, sys.__stdout__, sys.__stderr__]
    sizes = [_size(stream) for stream in streams]
    encoding = getattr(sys.stdout, "encoding", ""), getattr(sys.stdout, "newlines", None)
    variables = [os.environ.get(name) for name in _VARIABLES]
    places = [_place(path) for path in sys.path]
    python = sys.version, sys.executable, sys.prefix, sys.flags.optimize
    return repr((FORMAT, __version__, words, python, sizes, encoding, variables, places))


def _size(stream: Any) -> object:
    """Columns and lines of a terminal; None of anything else."""
    try:
        return tuple(os.get_terminal_size(stream.fileno())) if stream.isatty() else None
    except (AttributeError, OSError, ValueError):
        return None


def _place(path: str) -> object:
    """A folder that Python imports from: the names in it that can be imported, and its distributions, each with its
    time of change. That of the folder itself would not do: it may be the current one, which results are written to."""
    found: list[object] = [path]
    try:
        with os.scandir(path or ".") as entries:
            for entry in entries:
                name = entry.name
                if name.endswith((".dist-info", ".egg-info", ".egg-link")):
                    found.append((name, entry.stat().st_mtime_ns, _stamp(os.path.join(entry.path, _POINTS))))
                elif name.endswith(_MODULES) or ("." not in name and entry.is_dir()):
                    found.append((name,))
    except OSError:
        return _stamp(path)  # an archive, or nothing
    return sorted(found, key=str)


_POINTS, _MODULES = "entry_points.txt", (".py", ".pyc", ".so", ".pyd", ".pth")


def _stamp(path: str) -> tuple[int, int]:
    """Time of change and size; zeros where there is no such file."""
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def _folder() -> str:
    """``answers`` in ``$COLORPIPE_CACHE`` or the user's cache folder, beside the weights."""
    chosen = os.environ.get("COLORPIPE_CACHE")
    if chosen:
        return os.path.join(os.path.expanduser(chosen), "answers")
    from platformdirs import user_cache_dir

    return os.path.join(user_cache_dir("colorpipe", appauthor=False), "answers")


def _recall(file: str, key: str) -> str | None:
    """The text of a kept answer; None where there is none, or one that something has changed since."""
    try:
        with open(file, encoding="utf-8") as stream:
            kept = json.load(stream)
        if kept["key"] != key or any(_stamp(path) != (time, size) for path, time, size in kept["files"]):
            return None
        return str(kept["text"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sources(host: PluginHost) -> set[str]:
    """The files of all modules that are loaded, their folders, and all that lies in the folders of plugins."""
    within = tuple({os.path.dirname(os.__file__) + os.sep, sys.base_prefix + os.sep + "lib" + os.sep + "python3"})
    places = {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    found = {path for path in places if path and ("site-packages" in path or not path.startswith(within))}
    found |= {os.path.dirname(path) for path in found}
    for _, plugin in host.manager.list_name_plugin():
        init = str(getattr(plugin, "__file__", None) or "")
        if os.path.basename(init).startswith("__init__."):
            for folder, below, names in os.walk(os.path.dirname(init)):
                below[:] = [name for name in below if name != "__pycache__"]
                found |= {folder, *(os.path.join(folder, name) for name in names)}
    return found


def _keep(file: str, key: str, text: str, sources: set[str], began: int) -> None:
    stamps = [(path, *_stamp(path)) for path in sorted(sources)]
    if any(changed > began - SETTLED for _, changed, _ in stamps):
        return
    from pathlib import Path

    from colorpipe.errors import OutputError
    from colorpipe.files import write_whole

    try:
        data = json.dumps({"key": key, "files": stamps, "text": text}).encode("utf-8", "surrogatepass")
        write_whole(Path(file), data)
        kept = sorted(Path(file).parent.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        for old in kept[:-MOST]:
            old.unlink()
    except (OSError, OutputError, ValueError):
        pass  # without a cache it is made anew each time
