"""The quick 3x3 convolution is the convolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from colorpipe.inference import convolve3x3, winograd


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "LEAST_PLACES", 1)
    monkeypatch.setattr(winograd, "LEAST_CHANNELS", 1)
    monkeypatch.setattr(winograd, "WORKING_SET", 1 << 14)


@torch.inference_mode()
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(3, 3), (4, 7), (16, 16), (17, 22), (33, 5)])
def test_it_is_the_convolution_at_any_size(padding: int, bias: bool, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(12, 20, 3, padding=padding, bias=bias).requires_grad_(False)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(2, 12, *size).to(memory_format=layout)
        assert winograd._quicker(convolution, x, 1)
        expected = convolution(x)
        found = convolve3x3(convolution, x)
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * float(expected.abs().max()))


@torch.inference_mode()
@pytest.mark.parametrize("how", [{"stride": 2}, {"dilation": 2, "padding": 2}, {"groups": 2}, {"kernel_size": 5}])
def test_others_go_through_as_they_are(how: dict[str, int]) -> None:
    convolution = nn.Conv2d(8, 8, **{"kernel_size": 3, "padding": 1, **how}).requires_grad_(False)  # type: ignore[arg-type]
    x = torch.randn(1, 8, 16, 16)
    assert torch.equal(convolve3x3(convolution, x), convolution(x))


@torch.inference_mode()
def test_narrow_arithmetic_is_left_to_torch() -> None:
    convolution = nn.Conv2d(8, 8, 3, padding=1).requires_grad_(False)
    x = torch.randn(1, 8, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert convolve3x3(convolution, x).dtype == torch.bfloat16
