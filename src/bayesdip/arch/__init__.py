"""One description of a network, two readings: trainable at a finite width, a kernel at infinite width."""

from bayesdip.arch.activations import GELU, Erf, LeakyReLU, Sigmoid
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.classic import DeepDecoder, Flat, MaxPool, Mixer, ResNet, UNet
from bayesdip.arch.combine import Residual, Sequential, SkipConcat
from bayesdip.arch.covariance import Covariance
from bayesdip.arch.exact import Exact
from bayesdip.arch.layers import BatchNorm, Conv, Depthwise, Identity, Layer
from bayesdip.arch.limit import ArchitectureKernel, TangentKernel
from bayesdip.arch.mixing import TokenMixer
from bayesdip.arch.network import Network
from bayesdip.arch.networks import Decoder, Shuffle, Skip, decoder, from_dict, named, names, shuffle, skip
from bayesdip.arch.resampling import Downsample, PixelShuffle, Upsample
from bayesdip.arch.scaling import Gain
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
