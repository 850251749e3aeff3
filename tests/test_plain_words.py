"""What a person with a box of photographs reads: terms of the field are left out, or explained where they stand."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from colorpipe import options
from colorpipe.cli.run_flags import RunFlags
from colorpipe.plugins.host import PluginHost
from colorpipe.settings import MediaOptions, MergeOptions
from tests.conftest import Cli
from tests.test_pages import small, small_film

NEVER_SHORT = (
    "softmax", "logit", "annealed", "distribution", "chroma", "luma", "tensor", "latent", "convolution", "regress",
    "classif", "decode", "optical flow", "propagat", "gamut", "sRGB", "CIE", "BT.601", "fp32", "bf16", "fp16", "glob ",
    "stdout", "JSON", "checkpoint", "inference", "interpolat", "bilinear", "quantis", "quantiz",
)  # fmt: skip
"""Words that have no place in the short help."""
EXPLAINED = {
    "softmax": "how boldly one colour is chosen",
    "temperature": "how boldly one colour is chosen",
    "distribution": "several possible at each place",
    "luma": "the grey that most programs make of colour|films keep their luma",
    "CIE": "as the eye sees it|that the eye sees",
    "BT.601": "that most programs make of colour",
    "sRGB": "too strong for a screen",
    "key frames": "the method colours key frames",
    "shot": "follow the motion|from that frame to the end of the shot",
    "bilinear": "softly|--upsample bilinear",
    "nearest": "in squares|--upsample bilinear or nearest",
    "fp32": "exactly",
    "bf16": "rounded",
    "fp16": "rounded",
    "cuda": "an NVIDIA card",
    "mps": "Apple's",
    "weights": "learned|default: the weights' own",
    "recipe": "all settings of this call|--save-recipe",
    "metadata": "carries along",
    "JSON": "for programs|JSON file of strokes",
    "libx264": "H.264, plays everywhere|quality of|speed of",
    "libx265": "H.265, smaller|quality of|speed of",
    "ffv1": "keeps every value of the brightness",
}
"""A term, and words one of which stands in the same text."""
NEVER = ("logit", "chroma", "optical flow", "propagat", "gamut", "tensor", "regress", "latent", "inference", "quantis")


def plain(text: str) -> str:
    """A help page without its frame and its line breaks."""
    return " ".join(re.sub(r"[╭╮╰╯│─]", " ", text).split())


@functools.cache
def texts() -> dict[str, str]:
    """Flag -> its help, of the core and of the methods that are used when none is named."""
    host = PluginHost.load()
    told = {}
    for annotation in RunFlags.__dataclass_fields__.values():
        for info in getattr(annotation.type, "__metadata__", ()) or _metadata(annotation.name):
            told[annotation.name] = info.help or ""
    for cls in (MergeOptions, MediaOptions, host.colorizer("zhang").Options, host.decoder("annealed-mean").Options):
        told |= {field.name: field.help for field in options.fields(cls)}
    return told


def _metadata(name: str) -> tuple:
    import typing

    return typing.get_type_hints(RunFlags, include_extras=True)[name].__metadata__


def test_the_short_help_has_no_terms_of_the_field(cli: Cli) -> None:
    found = plain(cli("run", "--help")[1])
    method = "Method: zhang -> annealed-mean"  # names, not words
    assert method in found
    found = re.sub(r"--[a-z-]+", "", found.replace(method, ""))  # names, too
    assert [word for word in NEVER_SHORT if word.lower() in found.lower()] == []


NEVER_TRAINING = (
    "optimizer", "epoch", "hyperparameter", "validation", "gradient", "nats", "lambda", "cosine schedule", "prior",
    "discriminator", "adversarial", "crop", "encoder block", "logit", "softmax", "bins", "bias", "KL", "BCE", "k-means",
    "loss", "parameters", "log w", "ground truth", "ground-truth", "baseline", "stdout", "glob ",
)  # fmt: skip
"""Words that the help of ``eval`` and ``train`` has no place for, beside those of ``NEVER``."""


def _without_names(told: str) -> str:
    """A help page without the names of its flags, of their values and of methods, which are no words."""
    told = re.sub(r"--[a-zA-Z-]+", "", told)
    return re.sub(r"<[^>]*>", "", told)


@pytest.mark.parametrize(
    "words",
    [
        ("eval", "--help"),
        ("train", "--help"),
        *(("train", name, "--help") for name in ("zhang", "gan", "vae", "fcn", "lab-grid", "palette-cnn")),
    ],
    ids=" ".join,
)
def test_comparing_and_training_are_told_in_plain_words(words: tuple[str, ...], cli: Cli) -> None:
    found = _without_names(plain(cli(*words)[1]))
    banned = [word for word in (*NEVER, *NEVER_TRAINING) if re.search(rf"\b{re.escape(word)}", found, re.IGNORECASE)]
    assert banned == []
    for term, explained in (EXPLAINED | EXPLAINED_THERE).items():
        if re.search(rf"\b{re.escape(term)}\b", found):
            assert re.search(explained, found, re.IGNORECASE), f"{term!r} is not explained"


EXPLAINED_THERE = {
    "weights": r"learned \(its weights\)|has learned|was learned|what it has learned",
    "recipe": "all settings",
    "CIE": "that the eye sees|as the eye sees",
    "luma": r"the grey that it has \(luma\)",
    "fp32": "fp32 exactly",
    "JSON": r"for programs \(JSON\)",
    "CSV": r"for spreadsheets \(CSV\)",
    "psnr": "how near to the true picture",
    "de00": "how far off its colours are",
    "learning rate": "how much a step changes",
    "metadata": "carries along",
}
"""As ``EXPLAINED``, where a whole page is the text."""


@pytest.mark.parametrize("name", sorted(texts()))
def test_each_term_is_explained_where_it_stands(name: str) -> None:
    told = texts()[name]
    assert told, f"{name} has no help"
    assert [word for word in NEVER if word in told.lower()] == []
    for term, explained in EXPLAINED.items():
        if re.search(rf"\b{re.escape(term)}\b", told):
            assert re.search(explained, told), f"--{name}: {term!r} is not explained: {told}"


def test_the_first_lines_of_a_run(cli: Cli, workplace: Path) -> None:
    small("einstein-1947.jpg", workplace / "photo.jpg")
    small_film(workplace / "film.mp4", 8)
    told = plain(cli("run", "photo.jpg", "film.mp4")[2])
    assert "device cpu (the processor), precision " in told
    assert "arithmetic" in told
    assert "weights zhang-base (what the method has learned)" in told
    for word in NEVER_SHORT:
        if word not in ("fp32", "bf16"):  # which stand with "exact" or "rounded arithmetic"
            assert word.lower() not in told.lower(), told


def test_a_method_without_weights_says_so(cli: Cli, tint: Path, workplace: Path) -> None:
    small("einstein-1947.jpg", workplace / "photo.jpg")
    told = cli("run", "photo.jpg", "--plugin", tint, "--colorizer", "tint")[2]
    assert "precision fp32 (exact arithmetic), weights none (the method needs none)" in told
