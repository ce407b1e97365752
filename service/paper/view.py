"""What ``monosweep paper`` prints for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from search_spaces.paper import BATCHES, Batch
from service.estimate import estimate
from service.paper.claims import JudgedClaim
from service.paper.judgement import Evidence, Held, Judgement
from service.paper.notes import listed_numbers, notes
from service.paper.result import BatchResult, PointResult
from service.paper.scaling import ScaledBatch
from service.paper.sweep_files import grid_words, sweeps_of
from service.planning import resolve
from service.room import Machine, Room

_STYLES: dict[Held, str] = {
    "held": "green",
    "held in part": "yellow",
    "not held": "red",
    "not tested": "dim",
}


def batches_view() -> Group:
    """The batches, and what each varies."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in ("batch", "varies", "with"):
        table.add_column(column)
    for batch in BATCHES.values():
        grids = " and ".join(
            f"{grid_words(name)} {grid[0]:.4g} to {grid[-1]:.4g} ({len(grid)} values)"
            for name, grid in batch.grids.items()
        )
        table.add_row(batch.name, grids, ", ".join(_kept(batch)))
    return Group(
        table,
        Text(
            "monosweep paper BATCH trains one at the paper's size and budget, half a day or more "
            "on a few processors; with --scale 2 --steps 8192 --batch-size 256 it takes minutes. "
            "monosweep paper claims judges the paper's claims from some of them, so scaled."
        ),
    )


def _kept(batch: Batch) -> Iterator[str]:
    """What a batch does not vary, where other batches differ."""
    yield batch.task.replace("_", " ")
    yield batch.nonlinearity
    yield f"{batch.feature_distribution.replace('_', ' ')} features"
    for name, word in _KEPT.items():
        if name not in batch.grids:
            yield f"{word} {batch.values(name)[0]:.4g}"


_KEPT = {
    "feature_density": "density",
    "learning_rate": "rate",
    "initial_bias": "bias",
    "bias_decay": "decay",
}


def plan_view(scaled: ScaledBatch, *, is_here: bool) -> Group:
    """What will be trained, and how it differs from the paper's.

    Args:
        scaled: The batch as it will be trained.
        is_here: Whether it will be on this machine, so that its time can be foreseen.
    """
    specs = [sweep.spec for sweep in sweeps_of(scaled)]
    num_points = sum(spec.search.num_trials for spec in specs)
    num_beside = sum(spec.baseline.num_seeds for spec in specs)
    names = specs[0].name if len(specs) == 1 else f"{specs[0].name} to {specs[-1].name}"
    planned = (
        f"{_counted(len(specs), 'sweep')} ({names}): {_counted(num_points, 'point')} on "
        f"{_counted(scaled.scaling.num_seeds, 'seed')}, and beside them {num_beside} networks with "
        "biases around zero"
    )
    if is_here:
        room = Room((Machine.here(),))
        seconds = sum(estimate(spec, resolve(spec, room)).seconds for spec in specs)
        planned += f"; about {seconds / 60:.1f} min here, by arithmetic alone"
    return Group(_title(scaled), *_notes(scaled), _indented(f"Trained: {planned}.", 2))


def batch_view(result: BatchResult, judgement: Judgement, figures: Sequence[Path]) -> Group:
    """The points of a batch, where its figures are, and whether its claim held."""
    return Group(
        _title(result.scaled),
        *_notes(result.scaled),
        _table(result),
        *_figures(figures),
        *_judgement_lines("Claim", judgement),
        _stands_on(result.sweeps),
    )


def claims_view(
    claims: Sequence[JudgedClaim],
    results: Iterable[BatchResult],
    figures: Mapping[str, Sequence[Path]],
) -> Group:
    """Each claim, its evidence, and whether it held at this size and budget.

    Args:
        claims: The claims.
        results: The batches that they are judged from.
        figures: Where each batch's are, by its name.
    """
    parts: list[RenderableType] = []
    for result in results:
        parts += [_title(result.scaled), *_notes(result.scaled), _table(result)]
        parts += _figures(figures[result.name])
    for judged in claims:
        parts += _judgement_lines(f"Claim {judged.claim.number}", judged.judgement)
        parts += [_stands_on(judged.sweeps), Text()]
    return Group(*parts)


def _title(scaled: ScaledBatch) -> Text:
    varied = " and ".join(
        f"{grid_words(name)} {listed_numbers(grid)}" for name, grid in scaled.batch.grids.items()
    )
    return Text.assemble((f"The paper's batch {scaled.batch.name}", "bold"), f": {varied}")


def _notes(scaled: ScaledBatch) -> list[Padding]:
    return [_indented(note, 2) for note in notes(scaled)]


def _indented(line: str | Text, by: int) -> Padding:
    return Padding(line if isinstance(line, Text) else Text(line), (0, 0, 0, by), expand=False)


def _table(result: BatchResult) -> Table:
    """A row for each point of the grid."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    grids = list(result.scaled.batch.grids)
    for name in (*map(grid_words, grids), "loss", "monosem.\nper feat.", "coverage", "dead"):
        table.add_column(name, justify="right")
    table.add_column("mean bias", justify="right")
    for point in result.points:
        table.add_row(*(f"{point.number(name):.4g}" for name in grids), *_numbers(point))
    return table


def _figures(paths: Sequence[Path]) -> list[Text]:
    """A line for each, whole: a path that is broken over lines cannot be copied."""
    return [Text(f"  Figure: {path}", no_wrap=True, overflow="ignore") for path in paths]


def _numbers(point: PointResult) -> list[str]:
    if not point.is_complete:
        return ["failed", "-", "-", "-", "-"]
    metrics = point.metrics
    return [
        f"{metrics['loss']:.4f}",
        f"{metrics['monosemantic_per_feature']:.3f}",
        f"{metrics['feature_coverage']:.3f}",
        f"{metrics['num_dead']:.6g}",
        f"{metrics['mean_bias']:+.3f}",
    ]


def _judgement_lines(title: str, judgement: Judgement) -> list[RenderableType]:
    verdict = judgement.verdict
    return [
        Text.assemble((title, "bold"), f": {judgement.statement}"),
        Text.assemble(
            (judgement.in_words, f"bold {_STYLES[verdict]}"), " at this size and budget:"
        ),
        *(line for piece in judgement.evidence for line in _evidence_lines(piece)),
    ]


def _evidence_lines(piece: Evidence) -> list[RenderableType]:
    beside = "beside the claim, not counted: " if piece.is_note else ""
    said = Text.assemble(beside, (piece.verdict, _STYLES[piece.verdict]), f": {piece.says}")
    return [
        _indented(said, 2),
        _indented(piece.measured, 4),
    ]


def _stands_on(sweeps: Sequence[str]) -> Padding:
    return _indented(f"It stands on {', '.join(sweeps)}.", 2)


def _counted(num: int, word: str) -> str:
    return f"{num} {word}{'s' * (num != 1)}"
