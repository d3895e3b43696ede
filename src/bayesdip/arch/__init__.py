"""One description of a network, two readings: trainable at a finite width, a kernel at infinite width."""

from bayesdip.arch.activations import GELU, Erf, LeakyReLU, Sigmoid
from bayesdip.arch.architecture import Architecture
from bayesdip.arch.combinators import Residual, Sequential, SkipConcat
from bayesdip.arch.comparison_networks import DeepDecoder, Flat, Mixer, ResNet, UNet
from bayesdip.arch.covariance import Covariance
from bayesdip.arch.description import Description
from bayesdip.arch.exact import Exact
from bayesdip.arch.infinite_width import ArchitectureKernel
from bayesdip.arch.latent_input import LatentInput
from bayesdip.arch.layers import BatchNorm, Conv, Depthwise, Gain, Identity, Layer
from bayesdip.arch.layerwise import Stage, layerwise_covariance
from bayesdip.arch.network import GridRule, Network
from bayesdip.arch.networks import Decoder, Shuffle, Skip, decoder, from_dict, named, names, shuffle, skip
from bayesdip.arch.resampling import Downsample, MaxPool, PixelShuffle, Upsample
from bayesdip.arch.stationary import Stationary
from bayesdip.arch.tangent import Tangent
from bayesdip.arch.token_mixing import TokenMixer
from bayesdip.arch.user_module import ModuleArchitecture, from_module

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
    "Description",
    "Downsample",
    "Erf",
    "Exact",
    "Flat",
    "Gain",
    "GridRule",
    "Identity",
    "LatentInput",
    "Layer",
    "LeakyReLU",
    "MaxPool",
    "Mixer",
    "ModuleArchitecture",
    "Network",
    "PixelShuffle",
    "ResNet",
    "Residual",
    "Sequential",
    "Shuffle",
    "Sigmoid",
    "Skip",
    "SkipConcat",
    "Stage",
    "Stationary",
    "Tangent",
    "TokenMixer",
    "UNet",
    "Upsample",
    "decoder",
    "from_dict",
    "from_module",
    "layerwise_covariance",
    "named",
    "names",
    "shuffle",
    "skip",
]
