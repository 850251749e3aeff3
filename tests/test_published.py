"""``run`` with a published checkpoint equals the published script: the same picture, not a similar one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab

from colorpipe import Session
from tests.test_eccv16 import published as eccv16
from tests.test_eccv16 import random_state as eccv16_state
from tests.test_siggraph17 import published as siggraph17_with_hints
from tests.test_siggraph17 import random_state as siggraph17_state

SAMPLE = Path(__file__).parents[1] / "samples" / "cameraman.png"


def siggraph17(state: dict[str, torch.Tensor], L: torch.Tensor) -> torch.Tensor:
    nothing = torch.zeros_like(L)
    return siggraph17_with_hints(state, L, torch.cat([nothing, nothing], 1), nothing)


def script(picture: Path, forward: object, state: dict[str, torch.Tensor]) -> np.ndarray:
    """What https://github.com/richzhang/colorization's demo does: RGB float (H, W, 3) 0..1."""
    rgb = np.asarray(Image.open(picture).convert("RGB"))
    small = np.asarray(Image.fromarray(rgb).resize((256, 256), resample=Image.Resampling.BICUBIC))
    L_full, L_small = (torch.from_numpy(rgb2lab(x)[..., 0]).float()[None, None] for x in (rgb, small))
    with torch.inference_mode():
        ab = forward(state, L_small)  # type: ignore[operator]
    ab = F.interpolate(ab, L_full.shape[2:], mode="bilinear")
    lab = torch.cat([L_full, ab], 1)[0].permute(1, 2, 0).numpy()
    return np.asarray(lab2rgb(lab))


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")  # random weights go far outside of the gamut
@pytest.mark.parametrize(
    ("colorizer", "forward", "make_state", "options"),
    [
        ("zhang", eccv16, eccv16_state, {"T": 1.0}),
        ("siggraph17", siggraph17, siggraph17_state, {}),
    ],
)
def test_the_published_script_is_reproduced(
    tmp_path: Path, colorizer: str, forward: object, make_state: object, options: dict[str, float]
) -> None:
    """Against the script's float result: 0.2 of the difference is the rounding to 8 bits."""
    state = make_state()  # type: ignore[operator]
    if "model_out.0.weight" in state:
        state["model_out.0.weight"] *= 0.3  # random weights are wilder than trained ones: mean chroma 15, not 50
    checkpoint = tmp_path / "official.pth"
    torch.save(state, checkpoint)
    picture = cv2.resize(cv2.imread(str(SAMPLE), cv2.IMREAD_GRAYSCALE), (420, 310), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "g.png"), picture)
    theirs = script(tmp_path / "g.png", forward, state)
    chroma = np.hypot(*np.moveaxis(rgb2lab(theirs)[..., 1:], -1, 0))
    assert chroma.mean() > 3, "a grey reference would prove nothing"
    del state
    for gamut, limit in ((None, 0.25), ("fit", 0.5)):
        session = Session(colorizer, weights=checkpoint, device="cpu", precision="fp32", upsample="bilinear",
                          gamut=gamut, **options)  # fmt: skip
        ours = session.colorize(tmp_path / "g.png")
        assert deltaE_ciede2000(rgb2lab(ours), rgb2lab(theirs)).mean() < limit, gamut
