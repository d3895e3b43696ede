"""Claims 2, 3, 4, 5, 12 and 13: which network. One experiment, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bayesdip.lab.cases import denoising, inpainting
from bayesdip.lab.claim import CRITIC
from bayesdip.lab.comparing import PROBLEMS, BestFit, Problem, compare_networks, half_size, networks
from bayesdip.lab.fitting import BEST, PSNR
from bayesdip.lab.networks import skip
from bayesdip.lab.plots import curves, dots
from bayesdip.lab.results import Row
from bayesdip.lab.statistics import Criterion, Interval, by_seed

TWICE = {"denoise": 2, "inpaint": 2}  # for networks that are slow, which must have passed their best
HARDER: dict[str, Problem] = {
    "denoise": partial(denoising, sigma=50 / 255),
    "inpaint": partial(inpainting, missing=0.3),
    "upscale": half_size,
}
COMPARED = networks("skip", "decoder", "flat", "unet")


def lost_by_one_network(rows: Sequence[Row]) -> Criterion:
    """What is lost by taking one network for all problems instead of each problem's own.

    Both choices are made by the other seeds, so that a lucky one does not count.
    """
    table = {(t, n): by_seed(rows, "best", task=t, network=n) for t in HARDER for n in COMPARED}
    seeds = sorted(set.intersection(*(set(values) for values in table.values())))
    lost = []
    for seed in seeds:
        others = [s for s in seeds if s != seed] or [seed]
        mean = {key: sum(values[s] for s in others) / len(others) for key, values in table.items()}
        one = max(COMPARED, key=lambda n: sum(mean[t, n] for t in HARDER))
        own = {t: max(COMPARED, key=lambda n: mean[t, n]) for t in HARDER}
        lost.append(max(table[t, own[t]][seed] - table[t, one][seed] for t in HARDER))
    return Criterion(
        "problem's own network above the one best network for all, on the problem where it is most, dB",
        Interval.of(lost),
        least=0.3,
    )


CLAIMS = (
    compare_networks(
        BestFit("network", networks("auto-encoder", "decoder", "flat", "resnet"), steps=TWICE),
        number=2,
        name="scales",
        sentence="Going from small to large, with upsampling, is what matters: flat convolutions do poorly.",
        source=CRITIC,
        varies="networks that change the size (auto-encoder without skips, decoder) and that do not (flat, ResNet)",
        seconds=480,
        pairs=(("auto-encoder", "flat"), ("auto-encoder", "resnet")),
        least=0.5,
        panels=(dots(BEST, "network", task="denoise"), curves(PSNR, "network", task="inpaint")),
        supported="what you buy is the way from a small grid to a large one: convolutions on one grid do worse",
        refuted="going from a small grid to a large one is not needed: convolutions on one grid do as well on some task",
    ),
    compare_networks(
        BestFit("network", networks("skip", "decoder", "deep decoder"), steps={"inpaint": 2}),
        number=3,
        name="decoder",
        sentence="The decoder alone replicates DIP (it is not more than 0.5 dB worse).",
        source=CRITIC,
        varies="the whole encoder-decoder with skips, its decoder alone, a deep decoder with convolutions of size 1",
        seconds=200,
        pairs=(("decoder", "skip"),),
        least=-0.5,
        supported="the decoder alone is enough, and cheaper",
        refuted="the decoder alone is not enough",
    ),
    compare_networks(
        BestFit("upsample", {u: partial(skip, upsample=u) for u in ("bilinear", "nearest", "transposed")}),
        number=4,
        name="transposed",
        sentence="Transposed convolutions instead of bilinear upsampling are worse.",
        source=f"{CRITIC}: 'performs slightly worse'",
        varies="the upsampling of the skip network: bilinear, nearest, transposed convolution",
        seconds=230,
        pairs=(("transposed", "bilinear"),),
        most=0.0,
        supported="upsampling that is learnt does slightly worse than a fixed one",
        refuted="upsampling that is learnt does no worse than a fixed one",
    ),
    compare_networks(
        BestFit("network", networks("decoder", "mixer"), steps=TWICE),
        number=5,
        name="mixer",
        sentence="MLP-Mixer layers can take the place of convolutions (they are not more than 1 dB worse).",
        source=f"{CRITIC}: 'what if you replace the conv layers?'",
        varies="a convolutional decoder, an MLP-Mixer over patches of 4 x 4 pixels",
        seconds=130,
        pairs=(("mixer", "decoder"),),
        least=-1.0,
        refuted="convolutions (or another tie between neighbours) are needed: perceptrons over patches do worse",
    ),
    compare_networks(
        BestFit(
            "output",
            {
                "sigmoid, 0..1": partial(skip, output="sigmoid"),
                "sigmoid, 0..255": partial(skip, output="sigmoid255"),
                "linear, 0..1": partial(skip, output="linear"),
                "linear, 0..255": partial(skip, output="linear"),
            },
            problems={"denoise": PROBLEMS["denoise"]},
            steps=TWICE,
            peaks={"sigmoid, 0..255": 255.0, "linear, 0..255": 255.0},
        ),
        number=12,
        name="range",
        sentence="It does not matter whether outputs are in 0..255 or in 0..1 (0.5 dB either way).",
        source=f"{CRITIC}: 'check if it matters'",
        varies="the range of the output and of the data, with a sigmoid and without",
        measures="the highest PSNR of a fit by Adam at one learning rate, noise of 25/255",
        seconds=245,
        pairs=(("sigmoid, 0..255", "sigmoid, 0..1"), ("linear, 0..255", "linear, 0..1")),
        least=-0.5,
        most=0.5,
        panels=(curves(PSNR, "output"), dots(BEST, "output")),
        supported="the range of the output does not matter",
        refuted="the range of the output matters to some networks, as Adam's steps do not grow with it",
    ),
    compare_networks(
        BestFit("network", COMPARED, problems=HARDER, reduced=2),
        number=13,
        name="problem",
        sentence="The right architecture depends on the inverse problem.",
        source=CRITIC,
        varies="four networks; noise of 50/255, 30% of the pixels missing, half the resolution",
        measures="the highest PSNR of a fit, by an oracle's stop, on pictures of half the side",
        seconds=210,
        rules=(lost_by_one_network,),
        panels=[dots(BEST, "network", task=task) for task in HARDER],
        supported="no one network is best for every problem",
        refuted="one network did about as well on every problem as each problem's own",
    ),
)
