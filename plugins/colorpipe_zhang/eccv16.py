"""The network of Zhang, Isola and Efros (2016, arXiv 1603.08511) as published in PyTorch.

Layers and state-dict names follow https://github.com/richzhang/colorization (BSD-2-Clause), so that its checkpoint
loads to the key. The network stops at the logits: softmax and annealed mean are the decoder's.
"""

from __future__ import annotations

from torch import Tensor, nn

AB_NORM = 110.0
"""The published network works on ab divided by this."""
L_CENTRE, L_NORM = 50.0, 100.0
"""The published network works on (L - 50) / 100."""


def _block(channels: tuple[int, ...], *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 convolutions with ReLU, the last one with ``stride``, then batch norm."""
    layers: list[nn.Module] = []
    last = len(channels) - 2
    for index in range(last + 1):
        step = stride if index == last else 1
        layers.append(nn.Conv2d(channels[index], channels[index + 1], 3, step, padding=dilation, dilation=dilation))
        layers.append(nn.ReLU(inplace=True))
    layers.append(nn.BatchNorm2d(channels[-1]))
    return nn.Sequential(*layers)


class Eccv16(nn.Module):
    """L (N, 1, h, w), 0..100 -> logits (N, 313, h/4, w/4).

    ``h`` and ``w`` are multiples of 8; published for 256x256. 32,236,011 parameters, 41.8 GMAC at 256x256.
    """

    def __init__(self) -> None:
        super().__init__()
        self.model1 = _block((1, 64, 64), stride=2)
        self.model2 = _block((64, 128, 128), stride=2)
        self.model3 = _block((128, 256, 256, 256), stride=2)
        self.model4 = _block((256, 512, 512, 512))
        self.model5 = _block((512, 512, 512, 512), dilation=2)
        self.model6 = _block((512, 512, 512, 512), dilation=2)
        self.model7 = _block((512, 512, 512, 512))
        self.model8 = nn.Sequential(
            nn.ConvTranspose2d(512, 256, 4, 2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 313, 1),
        )
        self.model_out = nn.Conv2d(313, 2, 1, bias=False)

    @property
    def bins(self) -> Tensor:
        """(313, 2) ab centres in CIE units: the checkpoint keeps them, over 110, as the weight of its last layer."""
        return self.model_out.weight.detach()[:, :, 0, 0].T * AB_NORM

    def seen(self, lightness: Tensor) -> Tensor:
        """L (N, 1, h, w), 0..100 -> (N, 512, h/8, w/8): what a place looks like."""
        x = (lightness - L_CENTRE) / L_NORM  # (N, 1, h, w)
        x = self.model3(self.model2(self.model1(x)))  # (N, 256, h/8, w/8)
        seen: Tensor = self.model7(self.model6(self.model5(self.model4(x))))
        return seen

    def forward(self, lightness: Tensor) -> Tensor:
        logits: Tensor = self.model8(self.seen(lightness))  # (N, 313, h/4, w/4)
        return logits
