"""The networks that the claims compare, by the names that their tables show."""

from __future__ import annotations

from bayesdip import arch
from bayesdip.arch.architecture import Architecture
from bayesdip.lab.claim import Size


def skip(size: Size, **options: object) -> Architecture:
    """The encoder-decoder with thin skips, at the size's width and depth."""
    return arch.skip(**{"scales": size.scales, "width": size.width, "skip": 4, **options})


def network(name: str, size: Size) -> Architecture:
    """A network of about the size's width.

    Parameters
    ----------
    name : str
        ``skip``: with thin skips; ``auto-encoder``: without; ``decoder``: the upsampling half alone; ``flat``
        and ``resnet``: on one grid; ``deep decoder``: convolutions of size 1; ``unet``;
        ``mixer``: perceptrons over patches.
    size : Size
    """
    scales, width = size.scales, size.width
    known = {
        "skip": skip(size),
        "auto-encoder": skip(size, skip=0),
        "decoder": arch.decoder(scales=scales, width=width),
        "flat": arch.Flat(depth=2 * scales, width=width),
        "deep decoder": arch.DeepDecoder(scales=scales, width=2 * width),
        "unet": arch.UNet(scales=scales, width=max(2, width // 2)),
        "resnet": arch.ResNet(width=width, blocks=scales),
        "mixer": arch.Mixer(
            side=size.side, patch=max(1, min(4, size.side // 4)), width=2 * width, hidden=4 * width
        ),
    }
    return known[name]
