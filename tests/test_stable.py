"""What must not change by accident: the public names, the digest of a recipe, the flags of each command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
import typer.main

import colorpipe
from colorpipe import Recipe
from colorpipe.cli import evaluate, merge, models, paint, plugins, review, run, train, verify
from colorpipe.plugins.host import PluginHost
from colorpipe.types import Stage

PUBLIC = """
    __version__ Batch Chroma ChromaDistribution Colorizer ColorpipeError Decoder DeviceError Encoding Evaluation
    Evaluator Frame InputError InputSize Lab LimitError Metadata Model OptionError Options Outcome OutputError
    PluginError Preprocessor Recipe Session TrainingError UsageError WeightsError colorize evaluate hookimpl option
"""
FLAGS = Path(__file__).parent / "golden" / "flags.txt"
"""One line for each flag; ``COLORPIPE_GOLDEN=write pytest tests/test_stable.py`` writes it anew."""


def test_every_public_name_of_before_is_there() -> None:
    assert not set(PUBLIC.split()) - set(colorpipe.__all__)
    for name in colorpipe.__all__:
        assert getattr(colorpipe, name) is not None


def test_the_digest_of_a_recipe_stays() -> None:
    """Results that are done are told by it: another digest would make every archive anew."""
    recipe = Recipe(
        colorizer=Stage("zhang", {"vibrance": 1.2}, "0.1.0"),
        decoder=Stage("annealed-mean", {"T": 0.38}, "0.1.0"),
        preprocessors=(Stage("denoise", {"strength": 3.0}, "0.1.0"),),
        weights="zhang-compact",
        weights_sha256="ab" * 32,
        settings={"upsample": "guided", "crf": 16, "max_pixels": 5, "temporal": "auto"},
        device="cuda:0",
        precision="fp32",
        seed=3,
        version="0.1.0",
    )
    assert recipe.digest() == "8db0bb625ef36d7021cec90646356d3990dadd66f6608d4d12d625058eb5de0c"
    assert Recipe.from_json(recipe.to_json()) == recipe


def flags() -> Iterator[str]:
    """Each command's flags, with the default plugins chosen: names, range, default."""
    host = PluginHost.load()
    app = typer.Typer(add_completion=False)
    run.add_to(app, host, ["run"])
    train.add_to(app, host, ["train", "zhang"])
    paint.add_to(app, host, ["paint"])
    merge.add_to(app)
    evaluate.add_to(app)
    plugins.add_to(app)
    models.add_to(app)
    verify.add_to(app)
    review.add_to(app)

    def walk(command: Any, path: str) -> Iterator[str]:
        context = command.context_class(command)
        for parameter in command.params:
            record = parameter.get_help_record(context) or (parameter.name, "")
            default = record[1].partition("[default: ")[2].rstrip(" ]")
            yield " | ".join([path, record[0], *([f"default {default}"] if default else [])])
        for name, child in sorted(getattr(command, "commands", {}).items()):
            yield from walk(child, f"{path} {name}".strip())

    yield from walk(typer.main.get_command(app), "")


def test_the_flags_of_each_command_stay() -> None:
    found = "\n".join(sorted(flags())) + "\n"
    if os.environ.get("COLORPIPE_GOLDEN") == "write":
        FLAGS.parent.mkdir(exist_ok=True)
        FLAGS.write_text(found, "utf-8")
    assert found.splitlines() == FLAGS.read_text("utf-8").splitlines()
