"""How loops over groups of patches become machine code, and their innermost ones as vector instructions.

A compiler makes vector instructions of long loops, and takes what is left of a row one by one: most of a row of 25 or 49 values.
The loops here work on :data:`LANES` values at once, and keep sums in registers until they are whole. They read and write rows to
the end of a block, so their matrices come from :func:`whole_matrix`; what stands behind a row's own values is never taken for one of
them. The vectors are those of LLVM, which makes of them what a machine has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

Array = NDArray[Any]

# Values of a vector: one register of the widest machines, four of the narrowest. Rows of a tile: as many as have their sums in the
# registers of most.
LANES, ROWS = 16, 4
# A multiplication and an addition may be one instruction. Vectors may begin at any value.
FUSED, ALIGNMENT = ("contract",), 4

# Sums may be reordered, and a division by zero gives infinity. Functions become part of those that call them: a call that
# remained would go to the copy that the process has loaded first, and copies differ in how they reorder sums, so that
# results would depend on what was compiled or run before. The same machine gives the same result each time.
_HOW: Any = {"fastmath": True, "error_model": "numpy", "nogil": True, "forceinline": True}


def compiled(function: Any) -> Any:
    """A function as machine code, which is kept on disk where there is a place for it.

    There is none if the package lies in a folder that cannot be written and the user has no home: in a container, or as
    a service. Each process compiles anew then.
    """
    try:
        return njit(cache=True, **_HOW)(function)
    except RuntimeError:  # numba's, for want of a place
        return njit(**_HOW)(function)


@compiled
def whole(size: int) -> int:
    """The least multiple of :data:`LANES` that is no less than `size`."""
    return (size + LANES - 1) // LANES * LANES


@compiled
def whole_matrix(rows: int, columns: int, dtype: Any) -> Array:
    """Zeros for a matrix of so many rows and columns that these loops work on: a tile may begin at each of its values."""
    return np.zeros((rows + ROWS, whole(columns) + LANES), dtype)


def _tile(rows: int, blocks: int, *, subtract: bool) -> Any:
    """A loop for some rows and blocks of columns of ``out[i, j] = sum_k left(i, k) right[k, j]``, or that subtracts the sums.

    Its arguments, places and steps as numbers of values in the arrays' memory: `out`, the place of the tile's first value in
    it, the step from a row to the next; `left`, the place of its first value, the steps from one i and from one k to the next;
    `right`, the place of its first value, the step from one k to the next; how many k there are.
    """

    def tile(
        typing: Any, out: Any, at: Any, step: Any, left: Any, left_at: Any, left_step: Any, left_along: Any,
        right: Any, right_at: Any, right_along: Any, count: Any,
    ) -> Any:  # fmt: skip
        number = types.intp
        kinds = (out, number, number, left, number, number, number, right, number, number, number)
        return types.void(*kinds), write

    def write(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        out, at, step, left, left_at, left_step, left_along, right, right_at, right_along, count = arguments
        code = Vectors(context, builder, signature)
        target, factors, others = (
            code.place(0, out, at),
            code.place(3, left, left_at),
            code.place(7, right, right_at),
        )
        rows_of = [code.moved(target, step, i) for i in range(rows)]
        places = [code.moved(row, LANES, n) for row in rows_of for n in range(blocks)]
        sums = [code.variable(code.load(place) if subtract else code.zeros) for place in places]
        with cgutils.for_range(builder, count) as loop:
            row, column = (
                code.moved(others, right_along, loop.index),
                code.moved(factors, left_along, loop.index),
            )
            values = [code.load(code.moved(row, LANES, n)) for n in range(blocks)]
            for i in range(rows):
                factor = builder.load(code.moved(column, left_step, i))
                factor = code.spread(builder.fneg(factor) if subtract else factor)
                for total, value in zip(sums[i * blocks : (i + 1) * blocks], values, strict=True):
                    builder.store(code.added(builder.load(total), factor, value), total)
        for place, total in zip(places, sums, strict=True):
            code.store(builder.load(total), place)
        return context.get_dummy_value()

    return intrinsic(tile)


def _rotation(typing: Any, rows: Any, upper: Any, lower: Any, cosine: Any, sine: Any, blocks: Any) -> Any:
    """The rows of a matrix whose first values are at `upper` and `lower` become ``c upper - s lower`` and ``s upper + c lower``."""

    def write(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        rows, upper, lower, cosine, sine, blocks = arguments
        code = Vectors(context, builder, signature)
        c, s, against = (code.spread(value) for value in (cosine, sine, builder.fneg(sine)))
        first, second = code.place(0, rows, upper), code.place(0, rows, lower)
        with cgutils.for_range(builder, blocks) as loop:
            places = [code.moved(row, LANES, loop.index) for row in (first, second)]
            a, b = map(code.load, places)
            code.store(code.added(builder.fmul(c, a, flags=FUSED), against, b), places[0])
            code.store(code.added(builder.fmul(c, b, flags=FUSED), s, a), places[1])
        return context.get_dummy_value()

    return types.void(rows, types.intp, types.intp, rows.dtype, rows.dtype, types.intp), write


def _compared(rows: int) -> Any:
    """A loop for squared distances of the patches that begin at a vector of places, in some rows, to one patch.

    Its arguments: `found`, the place of the first distance in it and the step from a row's to the next one's; `guide`, the places
    of the patch's first value and of the first of the others; its sides, the patch's, of channels, and of a row.
    """

    def compare(
        typing: Any, found: Any, at: Any, step: Any, guide: Any, own: Any, other: Any,
        channels: Any, height: Any, width: Any, side: Any,
    ) -> Any:  # fmt: skip
        number = types.intp
        return types.void(found, number, number, guide, *[number] * 6), write

    def write(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        found, at, step, guide, own, other, channels, height, width, side = arguments
        code = Vectors(context, builder, signature)
        target, own, other = code.place(0, found, at), code.place(3, guide, own), code.place(3, guide, other)
        sums = [code.variable(code.zeros) for _ in range(rows)]
        plane = builder.mul(height, width)
        with cgutils.for_range(builder, channels) as c, cgutils.for_range(builder, side) as u:
            before = builder.add(builder.mul(c.index, plane), builder.mul(u.index, width))
            with cgutils.for_range(builder, side) as v:
                place = builder.add(before, v.index)
                value = code.spread(builder.load(builder.gep(own, [place])))
                first = builder.gep(other, [place])
                for row, total in enumerate(sums):
                    difference = builder.fsub(code.load(code.moved(first, width, row)), value)
                    builder.store(code.added(builder.load(total), difference, difference), total)
        for row, total in enumerate(sums):
            code.store(builder.load(total), code.moved(target, step, row))
        return context.get_dummy_value()

    return intrinsic(compare)


class Vectors:
    """What writes a loop over vectors of an array's values: places in memory are pointers to its values."""

    def __init__(self, context: Any, builder: Any, signature: Any) -> None:
        self.context, self.builder, self.signature = context, builder, signature
        self.number = context.get_value_type(types.intp)
        self.scalar = context.get_value_type(signature.args[0].dtype)
        self.vector = ir.VectorType(self.scalar, LANES)
        self.zeros = ir.Constant(self.vector, [ir.Constant(self.scalar, 0.0)] * LANES)

    def place(self, argument: int, array: Any, at: Any) -> Any:
        """Of a value of an array, which is the function's argument of that number."""
        made = self.context.make_array(self.signature.args[argument])(self.context, self.builder, array)
        return self.builder.gep(made.data, [at])

    def moved(self, place: Any, step: Any, times: Any) -> Any:
        """A place so many steps further."""
        step, times = (ir.Constant(self.number, n) if isinstance(n, int) else n for n in (step, times))
        return self.builder.gep(place, [self.builder.mul(step, times)])

    def variable(self, value: Any) -> Any:
        """A vector that changes."""
        return cgutils.alloca_once_value(self.builder, value)  # type: ignore[no-untyped-call]

    def load(self, place: Any) -> Any:
        """The vector that begins at a place."""
        return self.builder.load(self.builder.bitcast(place, self.vector.as_pointer()), align=ALIGNMENT)

    def store(self, value: Any, place: Any) -> None:
        """Write the vector that begins at a place."""
        self.builder.store(value, self.builder.bitcast(place, self.vector.as_pointer()), align=ALIGNMENT)

    def spread(self, value: Any) -> Any:
        """A vector of one value."""
        lane = ir.IntType(32)
        nothing, first = ir.Constant(self.vector, ir.Undefined), ir.Constant(lane, 0)
        begun = self.builder.insert_element(nothing, value, first)
        every = ir.Constant(ir.VectorType(lane, LANES), [first] * LANES)
        return self.builder.shuffle_vector(begun, nothing, every)

    def added(self, total: Any, factor: Any, value: Any) -> Any:
        """``total + factor value``."""
        product = self.builder.fmul(factor, value, flags=FUSED)
        return self.builder.fadd(total, product, flags=FUSED)


set_tile, subtract_tile = _tile(ROWS, 1, subtract=False), _tile(ROWS, 1, subtract=True)
# One row alone has more columns, so that sums need not wait for each other.
set_row, subtract_row = _tile(1, 2, subtract=False), _tile(1, 1, subtract=True)
compare_row, compare_rows = _compared(1), _compared(2)
rotate: Any = intrinsic(_rotation)
