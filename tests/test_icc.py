"""Profiles of curves and a matrix, at sixteen bits."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import pyvips

from colorpipe.media.still import icc, vips

P3 = bytes(pyvips.Operation.call("profile_load", "p3"))


def rgb_profile(curve: bytes, primaries: list[tuple[float, float, float]] | None = None, **extra: bytes) -> bytes:
    """A minimal ICC v2 RGB profile; the primaries of Adobe RGB (1998), adapted to D50, unless others are given."""
    red, green, blue = primaries or [
        (0.60974, 0.31111, 0.01947),
        (0.20528, 0.62567, 0.06087),
        (0.14919, 0.06322, 0.74457),
    ]
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"Test\0" + b"\0" * 78,
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        **{name + b"TRC": curve for name in (b"r", b"g", b"b")},
        **{
            name + b"XYZ": b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in xyz))
            for name, xyz in ((b"r", red), (b"g", green), (b"b", blue))
        },
        **{name.encode(): data for name, data in extra.items()},
    }
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def parametric(function: int, *values: float) -> bytes:
    return (
        b"para\0\0\0\0"
        + struct.pack(">HH", function, 0)
        + struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))
    )


def steep_profile() -> bytes:
    """Adobe RGB (1998): a power curve of 563/256."""
    return rgb_profile(gamma(563 / 256))


SRGB_VALUES = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
CURVES = {
    "identity": b"curv\0\0\0\0" + struct.pack(">I", 0),
    "gamma": gamma(1.8),
    "table": b"curv\0\0\0\0" + struct.pack(">I256H", 256, *(round((n / 255) ** 2.2 * 65535) for n in range(256))),
    "para0": parametric(0, 2.2),
    "para1": parametric(1, 2.2, 1.1, -0.1),
    "para2": parametric(2, 2.2, 1.1, -0.1, 0),
    "para3": parametric(3, *SRGB_VALUES),
    "para4": parametric(4, *SRGB_VALUES, 0, 0),
}


@pytest.mark.parametrize("name", CURVES)
def test_agrees_with_the_colour_engine_where_that_is_exact(name: str) -> None:
    """At eight bits: in gamut, each value of ours rounds to lcms' own, or lies half way."""
    profile = rgb_profile(CURVES[name])
    codes = np.random.default_rng(0).integers(90, 170, (64, 64, 3)).astype(np.uint8)
    theirs = vips.to_srgb(codes, profile).astype(float)
    exact = icc.matrix_profile(profile)
    assert exact is not None
    ours = icc.to_srgb(codes.astype(np.uint16) * 257, exact) / 257
    assert np.abs(ours - theirs).max() < 1.1
    assert np.abs(ours - theirs).mean() < 0.4


@pytest.mark.parametrize("profile", [P3, steep_profile()], ids=["p3", "adobe"])
def test_grey_goes_through_a_profile_and_back_unchanged(profile: bytes) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    there = vips.to_pixels(vips.from_srgb(np.dstack([ramp] * 3), profile))
    assert np.ptp(there.astype(int), axis=-1).max() == 0  # neutral stays neutral
    back = vips.to_srgb(there, profile)[..., 0].astype(int) - ramp
    # Near black a power curve's codes are wider than sRGB's.
    assert np.abs(back[ramp > 2000]).max() <= 1
    assert np.abs(back).max() <= (1 if profile is P3 else 30)


def test_transparency_stays() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (8, 8, 4)).astype(np.uint16)
    there = vips.to_pixels(vips.from_srgb(pixels, P3))
    assert np.array_equal(there[..., 3], pixels[..., 3])
    assert not np.array_equal(there[..., :3], pixels[..., :3])


@pytest.mark.parametrize(
    "profile",
    [
        b"", P3[:200], P3[:131], rgb_profile(gamma(2.2), A2B0=b"mft2"), rgb_profile(b"nope" + bytes(20)),
        rgb_profile(parametric(7, 1.0)), rgb_profile(gamma(2.2), [(0.1, 0.1, 0.1)] * 3),
        rgb_profile(b"curv\0\0\0\0" + struct.pack(">I2H", 2, 65535, 0)), rgb_profile(parametric(1, 2.2, 0, 0.1)),
        rgb_profile(parametric(1, 2.2, 0.9, 0.1)),
    ],
)  # fmt: skip
def test_other_kinds_and_damaged_ones_are_left_to_the_engine(profile: bytes) -> None:
    assert icc.matrix_profile(profile) is None
