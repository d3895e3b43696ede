"""One description of a network, two readings: trainable at a finite width, a kernel at infinite width."""

from bayesdip.arch.activations import GELU, Erf, LeakyReLU, Sigmoid
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.combinators import Residual, Sequential, SkipConcat
from bayesdip.arch.comparison_networks import DeepDecoder, Flat, MaxPool, Mixer, ResNet, UNet
from bayesdip.arch.coregionalisation import TokenMixer
from bayesdip.arch.covariance import Covariance
from bayesdip.arch.exact import Exact
from bayesdip.arch.gain import Gain
from bayesdip.arch.infinite_width import ArchitectureKernel, TangentKernel
from bayesdip.arch.layers import BatchNorm, Conv, Depthwise, Identity, Layer
from bayesdip.arch.network import Network
from bayesdip.arch.networks import Decoder, Shuffle, Skip, decoder, from_dict, named, names, shuffle, skip
from bayesdip.arch.resampling import Downsample, PixelShuffle, Upsample
from bayesdip.arch.stationary import Stationary
from bayesdip.arch.tangent import Tangent

__all__ = [
    "GELU",
    "Architecture",
    "ArchitectureKernel",
    "BatchNorm",
    "Conv",
    "Covariance",
    "Decoder",
    "DeepDecoder",
    "Depthwise",
    "Downsample",
    "Erf",
    "Exact",
    "Flat",
    "Gain",
    "Identity",
    "Layer",
    "LeakyReLU",
    "MaxPool",
    "Mixer",
    "Network",
    "PixelShuffle",
    "ResNet",
    "Residual",
    "Sequential",
    "Shuffle",
    "Sigmoid",
    "Skip",
    "SkipConcat",
    "Stationary",
    "Tangent",
    "TangentKernel",
    "TokenMixer",
    "UNet",
    "Upsample",
    "decoder",
    "from_dict",
    "named",
    "names",
    "shuffle",
    "skip",
]
