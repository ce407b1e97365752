"""The answer to a sweep's question, in one sentence and a few numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from service.objective import NUM_NEURONS, TRAIN_S, in_words
from service.opened import OpenSweep
from service.report.words import interval, setting_words, short
from service.standing import is_finalist
from service.status import best_so_far
from service.trials import ENDED
from service.verdict import Json


@dataclass(frozen=True)
class Answer:
    """What the page says first.

    Attributes:
        kind: What kind of answer it is.
        title: The same in a word or two.
        sentence: The answer.
        numbers: What it rests on, with their names.
        more: All that the verdict says, or what to do while there is none.
    """

    kind: Literal["winner", "none", "open"]
    title: str
    sentence: str
    numbers: tuple[tuple[str, str], ...]
    more: str


def answer(sweep: OpenSweep) -> Answer:
    """The verdict; of an unfinished sweep where it stands."""
    verdict = sweep.record.verdict
    if verdict is None:
        return _open(sweep)
    said = str(verdict["sentence"])
    if verdict["winner"] is not None:
        winner = verdict["winner"]
        return Answer(
            "winner", "A winner", _won(sweep, winner, verdict), _numbers(sweep, verdict), said
        )
    if verdict["baseline"] is None:
        return Answer("none", "No winner", said, (), "")
    finalists = [row for row in verdict["finalists"] if is_finalist(row)]
    count = "The one finalist was not" if len(finalists) == 1 else _none_of(len(finalists))
    sentence = f"{count} surely better than the baseline and surely within every limit."
    return Answer("none", "No winner", sentence, (), said)


def _none_of(num: int) -> str:
    return f"None of the {num} finalists was"


def _won(sweep: OpenSweep, winner: Mapping[str, Any], verdict: Mapping[str, Any]) -> str:
    goal = sweep.objective.first
    mine, theirs = _mean(winner, goal.name), _mean(verdict["baseline"], goal.name)
    ratio = winner["loss_ratio"]
    cost = f", at {ratio['mean']:.3f} times its loss" if ratio else ""
    return (
        f"Yes: {setting_words(winner['params'])} ({winner['trial']}) has {goal.words} "
        f"{short(mine)} against the baseline's {short(theirs)}{cost}, confirmed on "
        f"{winner['num_seeds']} fresh seeds."
    )


def _mean(row: Mapping[str, Any], name: str) -> float:
    value = row[name]
    return float(value["mean"] if isinstance(value, dict) else value)


def _numbers(sweep: OpenSweep, verdict: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    winner, baseline = verdict["winner"], verdict["baseline"]
    return (
        (f"gain in {sweep.objective.first.words}", interval(winner["gain"], 2)),
        ("loss over the baseline's", interval(winner["loss_ratio"])),
        ("features with a neuron of their own", f"{winner['feature_coverage']['mean']:.0%}"),
        ("neurons, to the baseline's", f"{winner['num_neurons']} to {baseline['num_neurons']}"),
    )


def _open(sweep: OpenSweep) -> Answer:
    record = sweep.record
    search = [trial for trial in sweep.known_trials if trial.phase == "search"]
    ended = sum(trial.state in ENDED for trial in search)
    sentence = (
        f"Not known yet: the sweep is {record.state} in its {record.phase} phase, with {ended} of "
        f"{record.num_trials} search trials ended."
    )
    best = best_so_far(sweep.objective, search)
    more = [record.failure] if record.failure else []
    if best is not None:
        more.append(_so_far(sweep, best))
    if record.state in ("interrupted", "failed"):
        more.append(f"Go on with it: monosweep resume {sweep.name}")
    return Answer("open", "No verdict yet", sentence, (), " ".join(more))


def _so_far(sweep: OpenSweep, best: Json) -> str:
    names = [name for name in sweep.objective.names if name not in (NUM_NEURONS, TRAIN_S)]
    numbers = ", ".join(f"{in_words(name)} {short(best[name])}" for name in names)
    return (
        f"The best feasible trial so far, {best['trial']}, has {numbers} with "
        f"{setting_words(best['params'])}; it is not confirmed."
    )
