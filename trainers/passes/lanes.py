"""Sixteen float32 numbers as one, for kernels: what numba lacks to keep sums in registers.

A loop that adds rows is as fast as its sums are near: numba leaves them in memory, since it cannot
know that nothing else is there. A value of type ``Lanes`` is in registers. LLVM
makes of it what the processor has, one register of AVX-512 or two of AVX.

Arrays are pointers, which numba indexes as they are: of its own arrays it would ask whether a place
is negative. No place is checked.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from trainers.sizes import NUM_LANES, NUM_SUMS

_VALUE = ir.VectorType(ir.FloatType(), NUM_LANES)
_HALF = ir.VectorType(ir.FloatType(), NUM_SUMS)

# A function's signature, and what makes its code.
Intrinsic = tuple[Any, Callable[..., Any]]


class Lanes(types.Type):  # type: ignore[misc]
    """Numba's type of such a value."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


_LANES = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VALUE)


@intrinsic  # type: ignore[untyped-decorator]
def load(typing: Any, numbers: Any, place: Any) -> Intrinsic:
    """The sixteen numbers from ``numbers[place]`` on."""
    del typing

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        return builder.load(_values_at(_VALUE, context, builder, signature, args), align=4)

    return _LANES(numbers, place), code


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, numbers: Any, place: Any, lanes: Any) -> Intrinsic:
    """Put sixteen numbers to ``numbers[place]`` and behind it."""
    del typing

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        builder.store(args[2], _values_at(_VALUE, context, builder, signature, args), align=4)
        return context.get_dummy_value()

    return types.void(numbers, place, lanes), code


@intrinsic  # type: ignore[untyped-decorator]
def spread(typing: Any, number: Any) -> Intrinsic:
    """The same number sixteen times."""
    del typing, number

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        del context, signature
        nothing = ir.Constant(_VALUE, ir.Undefined)
        first = builder.insert_element(nothing, args[0], ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), NUM_LANES), [0] * NUM_LANES)
        return builder.shuffle_vector(first, nothing, zeros)

    return _LANES(types.float32), code


@intrinsic  # type: ignore[untyped-decorator]
def add_product(typing: Any, total: Any, left: Any, right: Any) -> Intrinsic:
    """``total + left * right``, rounded once where the processor can."""
    del typing

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        del context, signature
        product = builder.fmul(args[1], args[2], flags=("contract",))
        return builder.fadd(args[0], product, flags=("contract",))

    return _LANES(total, left, right), code


@intrinsic  # type: ignore[untyped-decorator]
def add_products(typing: Any, sums: Any, place: Any, left: Any, right: Any) -> Intrinsic:
    """Add sixteen products to the eight numbers from ``sums[place]`` on: two to each."""
    del typing

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        at = _values_at(_HALF, context, builder, signature, args)
        total = builder.load(at, align=4)
        for half in (range(_HALF.count), range(_HALF.count, NUM_LANES)):
            lanes = ir.Constant(ir.VectorType(ir.IntType(32), _HALF.count), list(half))
            left, right = (builder.shuffle_vector(one, one, lanes) for one in args[2:])
            product = builder.fmul(left, right, flags=("contract",))
            total = builder.fadd(total, product, flags=("contract",))
        builder.store(total, at, align=4)
        return context.get_dummy_value()

    return types.void(sums, place, left, right), code


@intrinsic  # type: ignore[untyped-decorator]
def sum_at(typing: Any, sums: Any, place: Any) -> Intrinsic:
    """The sum of the eight numbers from ``sums[place]`` on, made in halves."""
    del typing
    kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), _HALF])
    name = f"llvm.vector.reduce.fadd.v{_HALF.count}f32"

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        reduce = cgutils.get_or_insert_function(builder.module, kind, name)
        eight = builder.load(_values_at(_HALF, context, builder, signature, args), align=4)
        return builder.call(
            reduce, [ir.Constant(ir.FloatType(), -0.0), eight], fastmath=("reassoc",)
        )

    return types.float32(sums, place), code


@intrinsic  # type: ignore[untyped-decorator]
def above_zero(typing: Any, lanes: Any) -> Intrinsic:
    """Which of the sixteen numbers are above zero or NaN, as bits, the first one's lowest."""
    del typing

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        del context, signature
        is_above = builder.fcmp_unordered(">", args[0], ir.Constant(_VALUE, [0.0] * NUM_LANES))
        return builder.zext(builder.bitcast(is_above, ir.IntType(NUM_LANES)), ir.IntType(64))

    return types.int64(lanes), code


@intrinsic  # type: ignore[untyped-decorator]
def lowest(typing: Any, bits: Any) -> Intrinsic:
    """The place of the lowest bit that is set; one must be."""
    del typing
    kind = ir.FunctionType(ir.IntType(64), [ir.IntType(64), ir.IntType(1)])

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        del context, signature
        count = cgutils.get_or_insert_function(builder.module, kind, "llvm.cttz.i64")
        return builder.call(count, [args[0], ir.Constant(ir.IntType(1), 1)])

    return types.int64(bits), code


def _values_at(kind: Any, context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
    """Where numbers are; the arguments are a pointer, a place and perhaps more."""
    place = context.cast(builder, args[1], signature.args[1], types.intp)
    return builder.bitcast(builder.gep(args[0], [place]), kind.as_pointer())
