"""The figures that a sweep has something to show in, each drawn when it is first looked at."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from service.confirmation import BASELINE as BASELINE_ROLE
from service.figures.activations import activations_figure
from service.figures.columns import measure, states
from service.figures.confirmation import confirmation_figure
from service.figures.front import PER_FEATURE, front_figure
from service.figures.importance import importance_figure
from service.figures.neurons import Network, neurons_figure
from service.figures.picture import Picture, as_svg
from service.figures.settings import settings_figure
from service.figures.style import BASELINE, CANDIDATES, OTHER
from service.figures.timeline import timeline_figure
from service.figures.training import Line, training_figure
from service.front import ranked
from service.importance import answers
from service.objective import LOSS_RATIO, baseline_rate
from service.search.importance import NUM_SHUFFLES
from service.trials import Trial

if TYPE_CHECKING:
    from service.opened import OpenSweep

Draw = Callable[[], Picture]
# Trials beside those that a figure of curves is about.
NUM_OTHERS = 8
# To shuffle the results of more takes longer than somebody waits for a page; and a thousand say
# what there is to say.
MOST_SHUFFLED, MOST_JUDGED = 300, 1000


class Gallery(Mapping[str, Picture]):
    """The figures of a sweep by name, in the order in which they tell its story.

    Args:
        sweep: The sweep.

    Attributes:
        absent: Why there is nothing to show in the others, by name.
    """

    def __init__(self, sweep: "OpenSweep") -> None:
        planned = {name: plan(sweep) for name, plan in _PLANS.items()}
        self.absent: Mapping[str, str] = {
            name: plan for name, plan in planned.items() if isinstance(plan, str)
        }
        self._draws = {name: plan for name, plan in planned.items() if not isinstance(plan, str)}
        self._drawn: dict[str, Picture] = {}
        self._svgs: dict[str, bytes] = {}

    def __getitem__(self, name: str) -> Picture:
        if name in self.absent:
            raise KeyError(f"there is no figure {name!r}: {self.absent[name]}")
        if name not in self._drawn:
            self._drawn[name] = self._draws[name]()
        return self._drawn[name]

    def svg(self, name: str) -> bytes:
        """A figure as an SVG document, made when it is first asked for; see ``as_svg``."""
        if name not in self._svgs:
            self._svgs[name] = as_svg(self[name])
        return self._svgs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._draws)

    def __len__(self) -> int:
        return len(self._draws)

    def __repr__(self) -> str:
        absent = "".join(f"; no {name}: {reason}" for name, reason in self.absent.items())
        return f"<figures: {', '.join(self) or 'none'}{absent}>"


def small_print(sweep: "OpenSweep") -> str:
    """Which sweep a figure is of, and of what size."""
    task, training = sweep.spec.task, sweep.spec.training
    return (
        f"{sweep.name}: {task.kind.replace('_', ' ')}, {task.num_features} features, "
        f"{task.num_inputs} inputs, {sweep.spec.model.num_neurons} neurons, "
        f"{training.num_steps:,} steps of batch {training.batch_size}"
    )


def representatives(sweep: "OpenSweep") -> list[tuple[str, list[Trial]]]:
    """Whom a figure of networks is about: the baseline first, then the finalists, with their names.

    Once there is a verdict these are those that it names, the winner before the others, on the
    seeds of the confirmation; before, the baseline of the search and its best trial so far.
    """
    verdict = sweep.record.verdict
    if verdict is not None and verdict["baseline"] is not None:
        best = verdict["winner"]["role"] if verdict["winner"] else None
        rows = sorted(verdict["finalists"], key=lambda row: row["role"] != best)
        roles = [BASELINE_ROLE, *(row["role"] for row in rows)]
        by_role = {
            role: [
                trial
                for trial in sweep.known_trials
                if trial.phase == "confirmation" and trial.role == role and _has_tables(trial)
            ]
            for role in roles
        }
        return [
            (f"{role} (winner)" if role == best else role, trials)
            for role, trials in by_role.items()
            if trials
        ]
    baseline = [trial for trial in sweep.known_trials if trial.phase == "baseline"]
    rate = baseline_rate(baseline)
    mine = [t for t in baseline if t.settings["learning_rate"] == rate and _has_tables(t)]
    found = [(BASELINE_ROLE, mine)] if mine else []
    best_so_far = next(filter(_has_tables, ranked(_search(sweep), sweep.objective)), None)
    if best_so_far is not None:
        is_over = sweep.state == "finished"
        label = "best of the search" if is_over else "best so far"
        found.append((f"{best_so_far.trial_id} ({label})", [best_so_far]))
    return found


def _has_tables(trial: Trial) -> bool:
    return trial.result is not None and trial.result.curves is not None


def _search(sweep: "OpenSweep") -> list[Trial]:
    return [trial for trial in sweep.known_trials if trial.phase == "search"]


def _confirmation(sweep: "OpenSweep") -> Draw | str:
    verdict = sweep.record.verdict
    if sweep.spec.confirmation is None:
        return "the sweep file asks for no confirmation"
    if verdict is None:
        return "there is no verdict yet"
    if verdict["baseline"] is None or not verdict["finalists"]:
        return "nothing was confirmed, since no search trial was feasible"
    if "objectives" not in verdict or "num_confirmed" not in verdict:
        return "its verdict is an earlier version's"
    if verdict["baseline"]["loss_ratio"] is None:
        return "the baseline was not confirmed on two seeds"
    return partial(confirmation_figure, verdict, small_print(sweep))


def _front(sweep: "OpenSweep") -> Draw | str:
    trials = sweep.trials.filter(pc.equal(sweep.trials["phase"], "search"))
    is_known = pc.and_(pc.is_valid(trials[LOSS_RATIO]), pc.is_valid(trials[PER_FEATURE]))
    if not pc.any(pc.and_(is_known, pc.equal(trials["state"], "complete"))).as_py():
        return "no search trial is complete with a loss ratio"
    return partial(front_figure, trials, sweep.objective.max_loss_ratio, small_print(sweep))


def _settings(sweep: "OpenSweep") -> Draw | str:
    space, objective = sweep.spec.space, sweep.objective
    if not space.varied:
        return "the search varies no setting"
    trials = sweep.trials.filter(pc.equal(sweep.trials["phase"], "search"))
    is_complete = [state in ("feasible", "infeasible") for state in states(trials)]
    if not np.isfinite(measure(trials, objective.first.name)[is_complete]).any():
        return "no search trial is complete"
    return partial(
        settings_figure, trials, space, objective.goals, objective.limits, small_print(sweep)
    )


def _importance(sweep: "OpenSweep") -> Draw | str:
    complete = [trial for trial in _search(sweep) if trial.state == "complete"]
    judged = complete[:: -(-len(complete) // MOST_JUDGED) or 1]
    told = answers(sweep.spec, judged, num_shuffles=0)
    if not any(target["settings"] for target in told):
        return str(told[0]["reason"])
    return partial(_draw_importance, sweep, judged, len(complete))


def _draw_importance(sweep: "OpenSweep", judged: list[Trial], num_complete: int) -> Picture:
    said = [small_print(sweep)]
    if len(judged) < num_complete:
        said.append(f"of {len(judged):,} of {num_complete:,} complete trials")
    is_shuffled = num_complete <= MOST_SHUFFLED
    if not is_shuffled:
        said.append(f"what may be by chance: monosweep importance {sweep.name}")
    targets = answers(sweep.spec, judged, NUM_SHUFFLES if is_shuffled else 0)
    return importance_figure(targets, "; ".join(said))


def _training(sweep: "OpenSweep") -> Draw | str:
    about = representatives(sweep)
    chosen = {trial.trial_id for _, trials in about for trial in trials}
    others = [trial for trial in _search(sweep) if _has_tables(trial)]
    others = [trial for trial in others if trial.trial_id not in chosen]
    if not about and not others:
        return "no trial has ended"
    return partial(_draw_training, sweep, about, others)


def _draw_training(
    sweep: "OpenSweep", about: list[tuple[str, list[Trial]]], others: list[Trial]
) -> Picture:
    looks = [BASELINE if name == BASELINE_ROLE else None for name, _ in about]
    candidates = iter(CANDIDATES * (1 + len(about) // len(CANDIDATES)))
    lines = [
        Line(name, look or next(candidates), _curves(sweep, *trials), is_main=True)
        for look, (name, trials) in zip(looks, about, strict=True)
    ]
    shown = others[:: max(1, -(-len(others) // NUM_OTHERS))]
    label = f"{len(shown)} of {len(others)} other search trials"
    lines += [Line(label, OTHER, _curves(sweep, trial), is_main=False) for trial in shown]
    return training_figure(lines, small_print(sweep))


def _curves(sweep: "OpenSweep", *trials: Trial) -> pa.Table:
    return sweep.curves_of(*(trial.trial_id for trial in trials))


def _neurons(sweep: "OpenSweep") -> Draw | str:
    about = [
        (name, [trial for trial in trials if trial.state == "complete"])
        for name, trials in representatives(sweep)
    ]
    firsts = [(name, trials[0]) for name, trials in about if trials]
    if not firsts:
        return "no baseline trial is complete"
    return partial(_draw_neurons, sweep, firsts[:2])


def _draw_neurons(sweep: "OpenSweep", firsts: list[tuple[str, Trial]]) -> Picture:
    networks = []
    for name, trial in firsts:
        table = sweep.neurons_of(trial.trial_id)
        mine = table.filter(pc.equal(table["seed"], trial.seeds[0]))
        networks.append(Network(name, mine))
    seeds = ", ".join(dict.fromkeys(str(trial.seeds[0]) for _, trial in firsts))
    said = f"{small_print(sweep)}; one network each, seed {seeds}; ties by bias"
    return neurons_figure(networks, said)


def _activations(sweep: "OpenSweep") -> Draw | str:
    kept = [
        (name, trial)
        for name, trials in representatives(sweep)
        for trial in trials[:1]
        if trial.result is not None and trial.result.weights is not None
    ]
    if not kept:
        return "no network of a confirmation was kept"
    # The baseline comes first; whoever follows is the winner, or the first finalist.
    return partial(_draw_activations, sweep, *kept[:2][-1])


def _draw_activations(sweep: "OpenSweep", name: str, trial: Trial) -> Picture:
    # torch takes seconds to import.
    from trainers.interpretation import responses_of  # noqa: PLC0415

    network = sweep.kept_networks(trial.trial_id)[0]
    said = f"{small_print(sweep)}; one network, seed {trial.seeds[0]}"
    if len(responses_of(network).signs) > 1:
        said += "; features shown at +1 only, as in the paper"
    threshold = network.nonlinearity.dead_below
    return activations_figure(responses_of(network).values[0], threshold, name, said)


def _timeline(sweep: "OpenSweep") -> Draw | str:
    if not sweep.attempts.num_rows:
        return "no cohort was handed out yet"
    return partial(timeline_figure, sweep.attempts, small_print(sweep))


_PLANS: Mapping[str, Callable[["OpenSweep"], Draw | str]] = {
    "confirmation": _confirmation,
    "front": _front,
    "settings": _settings,
    "importance": _importance,
    "training": _training,
    "neurons": _neurons,
    "activations": _activations,
    "timeline": _timeline,
}
