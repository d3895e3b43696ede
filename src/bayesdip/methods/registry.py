"""The methods by name, and their options: what one has, and what to say of one that it does not have."""

from __future__ import annotations

from typing import Any

from bayesdip.errors import BayesDipError
from bayesdip.methods.gp import GP
from bayesdip.methods.map import MAP
from bayesdip.methods.method import Method, one_of
from bayesdip.methods.patches import Patches
from bayesdip.methods.sgld import SGLD
from bayesdip.methods.stack import Stack

METHODS: dict[str, type[Method]] = {kind.name: kind for kind in (Patches, GP, SGLD, MAP, Stack)}
NAMES = tuple(METHODS)


def create(name: str, **options: Any) -> Method:
    """The method of that name with these options.

    Parameters
    ----------
    name : {"patches", "gp", "sgld", "map", "stack"}
    **options
        Fields of the method's own dataclass; None stands for its default.

    Returns
    -------
    Method

    Raises
    ------
    BayesDipError
        There is no such method, it does not have an option, or an option is out of its range.
    """
    one_of("method", name, NAMES)
    return with_options(METHODS[name](), **options)


def with_options(method: Method, **options: Any) -> Method:
    """The same method with other options.

    Parameters
    ----------
    method : Method
    **options
        None leaves one as it is.

    Returns
    -------
    Method

    Raises
    ------
    BayesDipError
        The method does not have an option, or it is out of its range.
    """
    given = {key: value for key, value in options.items() if value is not None}
    for key, value in given.items():
        if key not in method.option_names():
            raise BayesDipError(unknown_option(method.name, key, value))
    return method.changed(**given)


def having(option: str) -> tuple[str, ...]:
    """The names of the methods that have an option.

    Parameters
    ----------
    option : str

    Returns
    -------
    tuple of str
    """
    return tuple(name for name, kind in METHODS.items() if option in kind.option_names())


def unknown_option(name: str, option: str, value: Any) -> str:
    """What to say of an option that a method does not have.

    Parameters
    ----------
    name : str
        Of the method.
    option : str
    value : object

    Returns
    -------
    str
        It names the methods that have the option.
    """
    owners = having(option)
    given = f"{option}={value!r} was given for method {name!r}, which has no such option"
    if not owners:
        every = sorted(set().union(*(kind.option_names() for kind in METHODS.values())))
        return f"{given}: expected one of {', '.join(every)}; leave it out"
    first = f"{METHODS[owners[0]].__name__}({option}={value!r})"
    return f"{given}: it belongs to {', '.join(owners)}; use method={first}, or leave it out"
