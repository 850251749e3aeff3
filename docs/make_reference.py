"""Write the reference pages that are made from the program: ``python docs/make_reference.py``.

``docs/reference/cli.md`` has every command and flag, ``docs/reference/methods.md`` every plugin that comes with
colorpipe, ``docs/protocols/`` every protocol of ``colorpipe eval``. A test compares them with what this would write.
"""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Any

import typer.main

from colorpipe import options
from colorpipe.cli.app import commands
from colorpipe.cli.dynamic import shown
from colorpipe.evaluation.protocol import WHOLE, Protocol
from colorpipe.evaluation.protocols import PROTOCOLS
from colorpipe.plugins.host import PluginHost
from colorpipe.plugins.interfaces import KINDS, Plugin

DOCS = Path(__file__).parent
NOTE = "<!-- Made by `python docs/make_reference.py`; changes by hand are lost. -->\n"
TITLES = {"preprocessor": "Preprocessors", "colorizer": "Colorizers", "decoder": "Decoders", "evaluator": "Measures"}


def plain(text: str | None) -> str:
    """Help text without rich's markup, in one line, safe in a table's cell."""
    text = re.sub(r"(?<!\\)\[/?[a-z ]+\]", "", text or "").replace("\\[", "[")
    return " ".join(text.split()).replace("|", "\\|")


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def takes(parameter: Any) -> str:
    """What a flag's value is, as the help shows it; empty for a switch."""
    if parameter.metavar:
        return re.sub(r"^<(.*)>$", r"\1", str(parameter.metavar))
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    return "|".join(str(choice) for choice in typing.get_args(annotation) if isinstance(choice, str))


def code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


def flag_rows(parameters: list[Any]) -> list[list[str]]:
    rows = []
    for parameter in parameters:
        names = ", ".join(code(name) for name in [*parameter.opts, *parameter.secondary_opts])
        help = plain(parameter.help)
        if parameter.show_default and parameter.default not in (None, False):
            help += f" [default: {parameter.default}]"
        rows.append([names, code(takes(parameter)), help])
    return rows


def command_text(path: str, command: Any) -> str:
    """One command: what it does, its arguments, its flags panel by panel."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    flags = [p for p in command.params if p.param_type_name == "option" and not p.hidden]
    usage = " ".join([path, *(takes(p) or p.name.upper() for p in arguments), *(["[OPTIONS]"] if flags else [])])
    text = f"\n## {path}\n\n```text\n{usage}\n```\n\n{plain((command.help or '').partition(chr(10))[0])}\n"
    if arguments:
        text += "\n" + table(
            ["argument", "meaning"], [[code(takes(p) or p.name.upper()), plain(p.help)] for p in arguments]
        )
    panels: dict[str, list[Any]] = {}
    for parameter in flags:
        panel = parameter.rich_help_panel
        panels.setdefault(panel if isinstance(panel, str) else "Options", []).append(parameter)
    for panel, members in panels.items():
        text += f"\n**{panel}**\n\n" + table(["flag", "takes", "meaning"], flag_rows(members))
    return text


def cli(host: PluginHost) -> str:
    """Every command. Those that take a method are shown with the default one."""
    text = f"""{NOTE}
# Command line

`colorpipe COMMAND --help` shows the same. `run` and `train` are shown here with the flags of the default method. Those
of other methods stand under [Methods](methods.md), and in `colorpipe run --help --colorizer NAME`. A plugin's flag can
always be written with the plugin's name in front: `--annealed-mean-T` is `--T`.

Exit status: 0, all done; 1, some inputs failed or differ, each is named; 2, the call was wrong; 3, of `verify` alone:
all is kept as well as a lossy format can; 130, interrupted.
"""
    for name in typer.main.get_command(commands(host, [])[0]).commands:  # type: ignore[attr-defined]
        words = [name, "zhang"] if name == "train" else [name]
        command = typer.main.get_command(commands(host, words)[0]).commands[name]  # type: ignore[attr-defined]
        text += command_text(f"colorpipe {name}", command)
        for inner, part in getattr(command, "commands", {}).items():
            text += command_text(f"colorpipe {name} {inner}", part).replace("\n## ", "\n### ", 1)
    return text


def option_table(declared: type[options.Options]) -> str:
    rows = []
    for field in options.fields(declared):
        default = "" if field.default is None else code(shown(field.default))
        rows.append([code(f"--{field.flag}"), code(field.range or field.type.__name__), default, plain(field.help)])
    return table(["option", "takes", "default", "meaning"], rows) if rows else "No options.\n"


def plugin_text(cls: type[Plugin], host: PluginHost) -> str:
    """One plugin: what it is, its options, its weights."""
    facts: list[str] = [f"Paper: {cls.paper}." if cls.paper else "", f"Licence of the code: {cls.licence}."]
    if getattr(cls, "takes_hints", False):
        facts.append("Takes colour hints.")
    if getattr(cls, "learns_from_reference", False) or getattr(cls, "takes_reference", False):
        facts.append("Takes a colour reference, `--reference`.")
    decoder = getattr(cls, "default_decoder", None)
    if decoder:
        facts.append(f"Predicts a distribution; its decoder is `{decoder}` unless another is named.")
    if getattr(cls, "restores", False):
        facts.append("Changes the result, not only what the network sees.")
    text = f"\n### {cls.name} {{ #{cls.kind}-{cls.name} }}\n\n"
    text += (
        f"{cls.summary[:1].upper()}{cls.summary[1:]}.\n\n{' '.join(filter(None, facts))}\n\n{option_table(cls.Options)}"
    )
    if cls.kind == "evaluator":
        scores = getattr(cls, "higher_is_better", {})
        rows = [[code(name), "higher" if up else "lower"] for name, up in scores.items()]
        text += "\n" + table(["score", "better"], rows) if rows else ""
    models = [m for m in host.models.values() if m.colorizer == cls.name and cls.kind in ("colorizer", "evaluator")]
    if models:
        rows = [
            [code(m.name) + (" (default)" if m.name == getattr(cls, "default_weights", None) else ""), m.licence,
             f"{m.size / 1e6:.1f} MB", "comes with colorpipe" if m.bundled else f"`colorpipe models pull {m.name}`",
             plain(m.trained_on or m.summary)]
            for m in models
        ]  # fmt: skip
        text += "\n" + table(["weights", "licence", "size", "where", "trained on"], rows)
    return text


def methods(host: PluginHost) -> str:
    """Every plugin that comes with colorpipe, kind by kind."""
    text = f"""{NOTE}
# Methods

Everything here comes with colorpipe, each as a plugin. `colorpipe plugins` lists what is installed on your machine, and
`colorpipe plugins show NAME` one in full. An option of `run` is a flag; in `eval` it is written behind the name, as in
`--colorizer zhang:T=0.09`.
"""
    for kind in ("colorizer", "decoder", "preprocessor", "evaluator"):
        text += f"\n## {TITLES[kind]}\n"
        for _, cls in sorted(host.classes(kind).items()):
            text += plugin_text(cls, host)
    return text


def region(value: tuple[float, float, float, float]) -> str:
    if value == WHOLE:
        return "the whole picture"
    top, left, bottom, right = value
    return f"rows {top:g} to {bottom:g} and columns {left:g} to {right:g} of the picture, as fractions of its sides"


GREYS = {
    "lightness": "Each pixel becomes the grey of the same CIE lightness (sRGB, D65, 2 degrees), rounded to 8 bits.",
    "luminosity": "Each pixel becomes 0.21 R + 0.72 G + 0.07 B over sRGB codes, rounded to 8 bits.",
    "luma": "The film's own Y plane is taken as it was decoded, at its own bit depth; U and V are dropped.",
}


def steps(protocol: Protocol) -> list[str]:
    """The exact steps of a protocol, in order."""
    unit, video = protocol.unit, protocol.medium == "video"
    made = []
    if protocol.share < 1:
        made.append(
            f"A picture is scored if the first 8 bytes of SHA-256 over `{protocol.seed}:` and its file name (UTF-8), "
            f"read as a big-endian number, are below {protocol.share:g} x 2^64. The others are for training; "
            f"`colorpipe eval FOLDER --protocol {protocol.name} --training -` lists them."
        )
    if not video:
        made.append("The picture is read upright, converted to sRGB, in 8 bits, over white where it is transparent.")
    elif protocol.frames:
        made.append(f"The first {protocol.frames} frames are decoded, all of a shorter film, in the order shown.")
    else:
        made.append("All frames are decoded, in the order shown.")
    made += [_size(protocol), GREYS[protocol.grey]]
    if protocol.learn is not None:
        made.append(
            "A method that takes or learns from a reference is given the true colours of "
            f"{region(protocol.learn)}. Others are given nothing."
        )
    else:
        made.append("A method is given the grey and nothing else: no reference, no hints.")
    made.append(
        f"What is colorized is {region(protocol.score)}, by the same steps as `colorpipe run` and with its defaults, "
        "unless options are written behind the method's name."
    )
    made.append(
        "Result and truth are scored in sRGB; their chroma has the film's own bit depth."
        if video
        else "The result is in sRGB, rounded to 8 bits. It is scored against the resized picture."
    )
    made.append(
        f"A measure gives a value for each {unit}. The table has the mean over all {unit}s and the standard deviation. "
        f"A {unit} that fails is named and is in nobody's mean. The first row is the {unit} left grey"
        + ("; the second has its own colours." if video else ".")
    )
    return made


def _size(protocol: Protocol) -> str:
    side = protocol.side
    if side is None:
        return "It keeps its size."
    if protocol.medium == "video":
        return f"Each plane is shrunk by the mean of the area until the shorter side is {side}; a smaller film is left."
    how = "bicubic with antialiasing, over 8-bit codes" if protocol.resampling == "bicubic" else "the mean of the area"
    return f"It is squashed to {side}x{side}, whatever its shape: {how}."


def protocol_text(protocol: Protocol) -> str:
    numbered = "\n".join(f"{number}. {step}" for number, step in enumerate(steps(protocol), 1))
    source = f"\nIt follows {protocol.source}.\n" if protocol.source else ""
    return f"""{NOTE}
# {protocol.name}

{protocol.summary[:1].upper()}{protocol.summary[1:]}.
{source}
What this name stands for never changes. Another size, formula or region is another name.

## Steps

{numbered}

## Use and citation

`colorpipe eval INPUT... --protocol {protocol.name}`. Cite figures as: *colorpipe protocol {protocol.name}*, with the
number of {protocol.unit}s, the version of colorpipe that the JSON report states, and the device.

## Definition

`Protocol(name={protocol.name!r}, medium={protocol.medium!r}, frames={protocol.frames}, side={protocol.side},
resampling={protocol.resampling!r}, grey={protocol.grey!r}, learn={protocol.learn}, score={protocol.score},
share={protocol.share:g}, seed={protocol.seed})`
"""


def protocol_index() -> str:
    rows = [
        [f"[{p.name}]({page(p)})", "films" if p.medium == "video" else "stills", plain(p.summary)]
        for p in PROTOCOLS.values()
    ]
    return f"""{NOTE}
# Protocols

A protocol is what exactly a comparison measures: size, grey, what a method is told, what is scored. `colorpipe eval`
takes one by its name, and every report states it. The number behind the name is its version. A name never changes its
meaning, so that figures under one name can be compared, whoever measured them and when.

{table(["protocol", "of", "in short"], rows)}
`whole-256.v1` is the default, `video.v1` where all inputs are films.
"""


def page(protocol: Protocol) -> str:
    return f"{protocol.name.replace('.', '-')}.md"


def pages() -> dict[Path, str]:
    """Every generated page below ``docs/``, and its text."""
    host = PluginHost.load()
    host.rows = [row for row in host.rows if row.source.startswith("colorpipe ")]
    assert set(TITLES) == set(KINDS)
    texts = {
        "reference/cli.md": cli(host),
        "reference/methods.md": methods(host),
        "protocols/index.md": protocol_index(),
    }
    texts |= {f"protocols/{page(protocol)}": protocol_text(protocol) for protocol in PROTOCOLS.values()}
    return {DOCS / name: text for name, text in texts.items()}


def main() -> None:
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        print(path)


if __name__ == "__main__":
    main()
