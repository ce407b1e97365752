"""Sixteen float32 numbers as one, for kernels: what numba lacks to keep sums in registers.

A loop that adds rows of a matrix is as fast as its sums are near: numba leaves them in memory,
since it cannot know that nothing else is there. A value of type ``Lanes`` is in registers. LLVM
makes of it what the processor has, one register of AVX-512 or two of AVX.

No place is checked, nor may it be negative: numba's own indexing asks for that each time.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

NUM_LANES = 16
_VALUE = ir.VectorType(ir.FloatType(), NUM_LANES)

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
def load(typing: Any, matrix: Any, row: Any, column: Any) -> Intrinsic:
    """``matrix[row, column : column + 16]``."""
    del typing

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        return builder.load(_place(context, builder, signature, args), align=4)

    return _LANES(matrix, row, column), code


@intrinsic  # type: ignore[untyped-decorator]
def store(typing: Any, matrix: Any, row: Any, column: Any, lanes: Any) -> Intrinsic:
    """``matrix[row, column : column + 16] = lanes``."""
    del typing

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        builder.store(args[3], _place(context, builder, signature, args), align=4)
        return context.get_dummy_value()

    return types.void(matrix, row, column, lanes), code


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
def sum_of(typing: Any, lanes: Any) -> Intrinsic:
    """The sum of the sixteen numbers, made in halves."""
    del typing
    kind = ir.FunctionType(ir.FloatType(), [ir.FloatType(), _VALUE])
    name = f"llvm.vector.reduce.fadd.v{NUM_LANES}f32"

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        del context, signature
        reduce = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(
            reduce, [ir.Constant(ir.FloatType(), -0.0), args[0]], fastmath=("reassoc",)
        )

    return types.float32(lanes), code


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


@intrinsic  # type: ignore[untyped-decorator]
def get(typing: Any, vector: Any, place: Any) -> Intrinsic:
    """``vector[place]``."""
    del typing

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        return builder.load(_place_in_vector(context, builder, signature, args))

    return vector.dtype(vector, place), code


@intrinsic  # type: ignore[untyped-decorator]
def put(typing: Any, vector: Any, place: Any, number: Any) -> Intrinsic:
    """``vector[place] = number``."""
    del typing

    def code(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        number = context.cast(builder, args[2], signature.args[2], signature.args[0].dtype)
        builder.store(number, _place_in_vector(context, builder, signature, args))
        return context.get_dummy_value()

    return types.void(vector, place, number), code


def _place_in_vector(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
    """Where ``vector[place]`` is, the arguments being those two and perhaps more."""
    kind = signature.args[0]
    vector = context.make_array(kind)(context, builder, args[0])
    place = context.cast(builder, args[1], signature.args[1], types.intp)
    return builder.gep(vector.data, [place])


def _place(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
    """Where ``matrix[row, column]`` is, the arguments being those three and perhaps more."""
    kind = signature.args[0]
    matrix = context.make_array(kind)(context, builder, args[0])
    places = [
        context.cast(builder, place, its_kind, types.intp)
        for place, its_kind in zip(args[1:3], signature.args[1:3], strict=True)
    ]
    number = cgutils.get_item_pointer(context, builder, kind, matrix, places, wraparound=False)
    return builder.bitcast(number, _VALUE.as_pointer())
