from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colorpipe import OptionError, Options, PluginError, option, options


@dataclass(frozen=True)
class Sample(Options):
    T: float | None = option(None, "a number or nothing", min=0, max=2)
    count: int = option(3, "a whole number", min=1)
    shade: Literal["light", "dark"] = option("light", "one of two")
    invert: bool = option(False, "a switch")
    table: Path = option(Path("a.csv"), "a file")
    label: str = option("x", "a text")


@given(
    T=st.none() | st.floats(0, 2),
    count=st.integers(1, 10**9),
    shade=st.sampled_from(["light", "dark"]),
    invert=st.booleans(),
    label=st.text(),
)
def test_whatever_is_accepted_survives_json(**values: Any) -> None:
    made = Sample(**values)
    assert options.build(Sample, json.loads(json.dumps(made.as_dict()))) == made


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("T", 2.1), ("T", -0.1), ("T", math.nan), ("T", math.inf), ("T", "warm"), ("T", True), ("T", []),
        ("count", 0), ("count", 2.5), ("count", "2.5"), ("count", None), ("count", math.inf), ("count", False),
        ("shade", "grey"), ("shade", None), ("invert", "yes"), ("invert", 1), ("invert", None),
    ],
)  # fmt: skip
def test_what_is_refused_is_named_with_its_owner_and_value(name: str, value: object) -> None:
    with pytest.raises(OptionError) as caught:
        Sample(**{name: value})  # type: ignore[arg-type]
    assert f"Sample: {name} takes" in str(caught.value)
    assert repr(value) in str(caught.value)


def test_text_from_a_command_line_becomes_a_number() -> None:
    made = Sample(T="0.38", count="7", table="b.csv")  # type: ignore[arg-type]
    assert (made.T, made.count, made.table) == (0.38, 7, Path("b.csv"))


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("invert", "yes", True), ("invert", "Off", False), ("T", "none", None), ("T", "0.5", 0.5), ("count", "7", 7),
        ("shade", "dark", "dark"), ("table", "none", Path("none")), ("label", "yes", "yes"),
    ],
)  # fmt: skip
def test_what_a_person_types_becomes_a_value(name: str, text: str, wanted: object) -> None:
    by_name = {field.name: field for field in options.fields(Sample)}
    assert by_name[name].parse(text, "Sample") == wanted


@pytest.mark.parametrize(("name", "text"), [("invert", "maybe"), ("count", "none"), ("T", "warm"), ("shade", "none")])
def test_what_a_person_types_is_checked(name: str, text: str) -> None:
    by_name = {field.name: field for field in options.fields(Sample)}
    with pytest.raises(OptionError, match=f"Sample: {name} takes .*, not '{text}'"):
        by_name[name].parse(text, "Sample")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"annealed-mean has no option 'temperature'.*T, count"):
        options.build(Sample, {"temperature": 1}, "annealed-mean")


def test_a_field_tells_what_a_flag_needs() -> None:
    by_name = {field.name: field for field in options.fields(Sample)}
    assert by_name["T"].range == "0..2"
    assert by_name["count"].range == ">= 1"
    assert by_name["shade"].range == "light|dark"
    assert by_name["T"].optional
    assert not by_name["count"].optional


def test_a_declaration_that_cannot_be_a_flag_is_the_plugins_error() -> None:
    @dataclass(frozen=True)
    class Bare(Options):
        T: float = 1.0

    @dataclass(frozen=True)
    class Odd(Options):
        T: list[float] = option(None, "several numbers")

    with pytest.raises(PluginError, match=r"Bare\.T is not declared with option\(\)"):
        options.fields(Bare)
    with pytest.raises(PluginError, match=r"Odd\.T: a flag cannot hold"):
        options.fields(Odd)
    with pytest.raises(PluginError, match="needs a help text"):
        option(1, "")


def test_one_option_can_be_inherited() -> None:
    @dataclass(frozen=True)
    class More(Sample):
        extra: int = option(1, "one more")

    assert [field.name for field in options.fields(More)][-2:] == ["label", "extra"]
