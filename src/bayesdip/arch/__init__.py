"""One description of a network, two readings: trainable at a finite width, a kernel at infinite width."""

from bayesdip.arch.activations import GELU, Erf, LeakyReLU, Sigmoid
from bayesdip.arch.architecture import Architecture, ArchitectureKernel
from bayesdip.arch.combine import Residual, Sequential, SkipConcat
from bayesdip.arch.covariance import Covariance
from bayesdip.arch.layers import BatchNorm, Conv, Identity, Layer
from bayesdip.arch.network import Network
from bayesdip.arch.networks import Decoder, Shuffle, Skip, decoder, from_dict, named, names, shuffle, skip
from bayesdip.arch.resampling import Downsample, PixelShuffle, Upsample

__all__ = [
    "GELU",
    "Architecture",
    "ArchitectureKernel",
    "BatchNorm",
    "Conv",
    "Covariance",
    "Decoder",
    "Downsample",
    "Erf",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Network",
    "PixelShuffle",
    "Residual",
    "Sequential",
    "Shuffle",
    "Sigmoid",
    "Skip",
    "SkipConcat",
    "Upsample",
    "decoder",
    "from_dict",
    "named",
    "names",
    "shuffle",
    "skip",
]
