"""What every method is: options in one dataclass, a fit, and (where it can) an update with the held-out entries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from bayesdip.errors import BayesDipError

if TYPE_CHECKING:
    from bayesdip.findings import Finding
    from bayesdip.problem import Problem
    from bayesdip.progress import Progress
    from bayesdip.result import Posterior

EFFORTS = ("fast", "balanced", "best")


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A way to infer a picture from a :class:`~bayesdip.problem.Problem`.

    Subclass it for a method of your own: give it a `name`, a `summary` and a :meth:`fit`.

    Parameters
    ----------
    effort : {"fast", "balanced", "best"}
        How much work, on a scale that each method fills in.
    seed : int
        At least 0. Seeds everything random; the same seed repeats a CPU run to the bit.
    device : str
        ``"auto"`` (a CUDA device where there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Attributes
    ----------
    name : str
        What the result, the summary and the report call it.
    summary : str
        What it does, in half a sentence.
    has_std : bool
        Whether it gives a standard deviation.
    is_local : bool
        Whether missing pixels go by what is known some dozens of pixels around them, so that damage in a large picture is
        restored part by part.
    fills_time : bool
        Whether it goes on as long as a time budget lets it, and its steps cost as a picture's pixels do, missing or not: then
        each part of a picture has its share of the budget.
    fits_networks : bool
        Whether its operations are those of networks, large enough to be shared by threads. Otherwise each has one thread, and
        independent pieces of work run beside each other (:mod:`bayesdip.threads`).

    Raises
    ------
    BayesDipError
        An option is out of its range.
    """

    effort: str = "balanced"
    seed: int = 0
    device: str = "auto"

    name: ClassVar[str]
    summary: ClassVar[str]
    has_std: ClassVar[bool] = True
    is_local: ClassVar[bool] = False
    fills_time: ClassVar[bool] = False
    fits_networks: ClassVar[bool] = False

    def __post_init__(self) -> None:
        one_of("effort", self.effort, EFFORTS)
        at_least("seed", self.seed, 0)

    @classmethod
    def option_names(cls) -> frozenset[str]:
        """The options that the method has: the fields of its dataclass.

        Returns
        -------
        frozenset of str
        """
        return frozenset(f.name for f in fields(cls))

    def changed(self, **options: Any) -> Self:
        """The same with other options.

        Parameters
        ----------
        **options
            Each one of :meth:`option_names`.

        Returns
        -------
        Method

        Raises
        ------
        BayesDipError
            An option is out of its range.
        """
        return replace(self, **options)

    def check(self, problem: Problem) -> None:  # noqa: B027
        """Refuse a problem that the method cannot do; by default it does every one.

        Parameters
        ----------
        problem : Problem
            With all its entries.

        Raises
        ------
        BayesDipError
            It says which method can.
        """

    def resolved(self, problem: Problem) -> Self:
        """The same with every option decided that goes by the problem, the machine or another option.

        Parameters
        ----------
        problem : Problem
            With all its entries.

        Returns
        -------
        Method

        Raises
        ------
        BayesDipError
            The device is unknown or not on this machine.
        """
        return replace(self, device=pick_device(self.device))

    @abstractmethod
    def fit(self, problem: Problem, progress: Progress) -> Posterior:
        """Infer the picture from what the problem's operator shows.

        Parameters
        ----------
        problem : Problem
            Its data are on the CPU. Where it has held-out entries, the operator hides them, and
            :meth:`update` is called next.
        progress : Progress
            To be told where the fit stands, and asked whether to stop.

        Returns
        -------
        Posterior
            In working units. Stopped early, the best so far.

        Raises
        ------
        NoResultError
            It was stopped before there was a picture.
        """

    def update(self, problem: Problem, posterior: Posterior, progress: Progress) -> Posterior | None:
        """Infer the picture from all entries, given what :meth:`fit` found without the held-out ones.

        Parameters
        ----------
        problem : Problem
            With all its entries.
        posterior : Posterior
            What :meth:`fit` gave; its ``state`` is what the method left there for this.
        progress : Progress

        Returns
        -------
        Posterior or None
            None leaves it to the caller to update each held-out pixel by its own value.
        """
        return None

    def findings(self, problem: Problem) -> tuple[Finding, ...]:
        """What the user has to know of how the method takes such data; by default nothing.

        Parameters
        ----------
        problem : Problem

        Returns
        -------
        tuple of Finding
        """
        return ()

    def updates(self, problem: Problem) -> bool:
        """Whether :meth:`update` fits such data again with the held-out entries; by default it does not.

        Parameters
        ----------
        problem : Problem

        Returns
        -------
        bool
        """
        return False

    def by_parts(self) -> bool:
        """Whether damage in a picture is restored part by part: where the method is local.

        Returns
        -------
        bool
        """
        return self.is_local

    def leaves_one_out(self, problem: Problem, progress: Progress) -> bool:
        """Whether :meth:`fit` of all entries says what each pixel's mean is without its own value; by default it does not.

        Then nothing is fitted without the held-out entries: the posterior's ``without_own`` stands for it.

        Parameters
        ----------
        problem : Problem
        progress : Progress
            Whose time budget may decide what runs.

        Returns
        -------
        bool
        """
        return False

    def to_dict(self) -> dict[str, Any]:
        """The name and all options.

        Returns
        -------
        dict
            Plain JSON values.
        """
        return {"method": self.name} | {f.name: plain(getattr(self, f.name)) for f in fields(self)}


def plain(value: Any) -> Any:
    """An option as a JSON value."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, type):
        return value.__name__
    return value.to_dict() if hasattr(value, "to_dict") else repr(value)


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Check the value of an option.

    Parameters
    ----------
    name : str
        Of the option.
    value : str
    allowed : tuple of str

    Returns
    -------
    str
        `value`.

    Raises
    ------
    BayesDipError
        The value is not allowed.
    """
    if value not in allowed:
        raise BayesDipError(f"{name} is {value!r}: expected one of {', '.join(allowed)}; choose one of these")
    return value


def at_least(name: str, value: float, least: float) -> None:
    """An error unless the value is as large as that."""
    if not value >= least:
        raise BayesDipError(f"{name} is {value}: expected at least {least}; change it")


def pick_device(name: str) -> str:
    """The name of the device to compute on.

    Parameters
    ----------
    name : str
        ``"auto"`` takes a CUDA device when there is one, else the CPU.

    Returns
    -------
    str

    Raises
    ------
    BayesDipError
        The device is unknown or not on this machine.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        raise BayesDipError(
            f"device {name!r} cannot be used here: expected auto, cpu, or a device that this machine has"
        ) from error
    return name
