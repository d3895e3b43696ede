"""The third reading of a layer: the neural tangent kernel (Jacot, Gabriel, Hongler 2018).

Gradient descent moves the output of a very wide network as a linear model of its weights
does, with the kernel ``Theta(x, x') = sum_w (df(x)/dw) (df(x')/dw)``. It is carried along
with K, and each layer adds what its own weights contribute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

from bayesdip.arch.covariance import Covariance, Filter, Nonlinearity
from bayesdip.arch.exact import Exact
from bayesdip.arch.stationary import Stationary
from bayesdip.errors import BayesDipError

PARAMETRISATIONS = ("ntk", "standard")
Form = TypeVar("Form", Stationary, Exact)


@dataclass(frozen=True)
class Tangent(Covariance, Generic[Form]):
    """Covariance and tangent kernel of one feature of a layer, both stationary or both exact.

    Attributes
    ----------
    K, theta : Stationary or Exact
        Covariance and tangent kernel.
    parametrisation : "ntk" or "standard"
        What the learnt numbers are. ``"ntk"``: standard normal ones, which the layer
        multiplies with their scale. ``"standard"``: the weights themselves, as in PyTorch;
        a layer then counts by its fan-in, at the description's own width.

    Notes
    -----
    With ``conv`` the covariance rule of a convolution without its bias, and phi an activation,

        Theta' = conv(Theta) + K'                       (convolution; "ntk"),
        Theta' = conv(Theta) + fan_in mean_taps K + 1   (convolution; "standard"),
        Theta' = Theta E[phi'(u) phi'(v)]               (activation),
        Theta' = (centred Theta) E[1 / s^2]             (batch norm).

    Batch norm is taken as a fixed map: it subtracts the mean, and divides by the number s
    that it has at the start and keeps. Its gain and bias are not counted as learnt.
    """

    K: Form
    theta: Form
    parametrisation: str = "ntk"

    def __post_init__(self) -> None:
        if self.parametrisation not in PARAMETRISATIONS:
            raise BayesDipError(
                f"Unknown parametrisation {self.parametrisation!r}; it is one of "
                f"{', '.join(PARAMETRISATIONS)}. Choose one of these."
            )

    @property
    def features(self) -> int:  # type: ignore[override]
        return self.K.features

    @property
    def dims(self) -> int:
        return self.K.dims

    def scaled(self, gain: float) -> Self:
        return self._with(self.K.scaled(gain), self.theta.scaled(gain))

    def convolved(
        self, size: int, stride: int, padding: str, gain: float, bias: float, features: int
    ) -> Self:
        K = self.K.convolved(size, stride, padding, gain, bias, features)
        own = self._own(gain, bias, self.features * size**self.dims)
        learnt = self.K.convolved(size, stride, padding, *own, features)
        inherited = self.theta.convolved(size, stride, padding, gain, 0.0, features)
        return self._with(K, inherited.added(learnt))

    def transposed(self, taps: int, gain: float, bias: float, features: int) -> Self:
        K = self.K.transposed(taps, gain, bias, features)
        learnt = self.K.transposed(taps, *self._own(gain, bias, self.features * taps**self.dims), features)
        return self._with(K, self.theta.transposed(taps, gain, 0.0, features).added(learnt))

    def _own(self, gain: float, bias: float, fan_in: int) -> tuple[float, float]:
        """Gain and bias that make the covariance rule the sum of squared gradients of its weights."""
        return (gain, bias) if self.parametrisation == "ntk" else (float(fan_in), float(bias > 0))

    def filtered(self, filter: Filter) -> Self:
        return self._with(self.K.filtered(filter), self.theta.filtered(filter))

    def shuffled(self, factor: int, features: int) -> Self:
        return self._with(self.K.shuffled(factor, features), self.theta.shuffled(factor, features))

    def pointwise(self, activation: Nonlinearity) -> Self:
        K = self.K.pointwise(activation)
        return self._with(K, self.theta.times(self.K.mapped(activation.dual_of_derivative)))

    def normalised(self, epsilon: float) -> Self:
        scale = self.K.mean_inverse_variance(epsilon)
        return self._with(self.K.normalised(epsilon), self.theta.centred().scaled(scale))

    def joined(self, other: Self) -> Self:
        return self._with(self.K.joined(other.K), self.theta.joined(other.theta))

    def added(self, other: Self) -> Self:
        return self._with(self.K.added(other.K), self.theta.added(other.theta))

    def _with(self, K: Form, theta: Form) -> Self:
        return replace(self, K=K, theta=theta)


def at_input(K: Form, parametrisation: str) -> Tangent[Form]:
    """At a network's input, which has no weights: Theta = 0."""
    return Tangent(K, K.scaled(0.0), parametrisation)
