"""What the commands print for people: the verdict with its table, the status, the plan."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.home import without_password
from service.stage_view import is_left, server_lines, stage_in_words, waiting_in_words
from service.trials import PHASES, TITLES
from service.wording import listed

if TYPE_CHECKING:
    from service.estimate import Estimate
    from service.planning import Resolved

Json = Mapping[str, Any]


def verdict_table(verdict: Json) -> Table:
    """The finalists beside the baseline, with 95% intervals over fresh paired seeds.

    The numbers that decide have a column each, beside those that every verdict shows.
    """
    # Narrow enough for a terminal of 80 columns.
    table = Table(box=box.SIMPLE_HEAD, padding=0)
    table.add_column("", overflow="fold", min_width=10)
    for column in ("loss", "loss ratio", "monosem.\nper feat."):
        table.add_column(column, no_wrap=True)
    rows = [row for row in [verdict["baseline"], *verdict["finalists"]] if row]
    # Seldom varied, so they have a column only where they are.
    also = [name for name in _ALSO if len({row["settings"].get(name) for row in rows}) > 1]
    deciding = _deciding(verdict)
    for name in deciding:
        table.add_column(_column(name), no_wrap=True)
    for column in ("coverage", "neurons", "bias", "decay", *(_ALSO[name] for name in also)):
        table.add_column(column, justify="right", no_wrap=True)
    marks = _marks(verdict)
    for row in rows:
        mark = marks.get(row["role"])
        table.add_row(
            f"{row['role']} {mark}" if mark else row["role"],
            f"{row['loss']['mean']:.3f}" if "loss" in row else "-",
            _interval(row["loss_ratio"], 3),
            _interval(row.get("monosemantic_per_feature"), 2),
            *(_interval(row.get(name), _DIGITS.get(name, 2)) for name in deciding),
            f"{row['feature_coverage']['mean']:.2f}" if "loss" in row else "-",
            str(row["num_neurons"]),
            f"{row['settings']['initial_bias']:.2f}",
            f"{row['settings']['bias_decay']:.3g}",
            *(_short(row["settings"].get(name)) for name in also),
            style="bold" if mark == WINNER else None,
        )
    return table


# Trials of a front that people are shown; programs get all.
MAX_ON_FRONT = 6
WINNER, ON_FRONT = "*", "+"
# What has a column in every verdict; of the others how many digits say something.
_SHOWN = ("loss", "loss_ratio", "monosemantic_per_feature", "feature_coverage", "num_neurons")
_DIGITS = {"num_dead": 0, "train_s": 1}


def _deciding(verdict: Json) -> list[str]:
    """Objectives and limited numbers that have no column yet."""
    # Verdicts of the first versions name one objective only.
    parts = (*verdict.get("objectives", ()), *verdict.get("limits", ()))
    return [name for name in dict.fromkeys(part["name"] for part in parts) if name not in _SHOWN]


def _column(name: str) -> str:
    """A number's name, short and in two lines."""
    for long, short in (
        ("monosemantic", "monosem."),
        ("concentration", "concentr."),
        ("_per_feature", "\nper feat."),
        ("_per_neuron", "\nper neuron"),
        ("_", " "),
    ):
        name = name.replace(long, short)
    return name


def _marks(verdict: Json) -> dict[str, str]:
    """Who won, and of several objectives who else is on the front."""
    marks = {}
    if len(verdict.get("objectives", ())) > 1:
        marks = {row["trial"]: ON_FRONT for row in verdict["front"] if row["on_front"]}
    if verdict["winner"]:
        marks[verdict["winner"]["trial"]] = WINNER
    return marks


_ALSO = {"learning_rate": "rate", "nonlinearity": "act.", "l1": "L1"}


def _interval(interval: Mapping[str, float] | None, digits: int) -> str:
    if interval is None:
        return "-"
    half_width = (interval["high"] - interval["low"]) / 2
    return f"{interval['mean']:.{digits}f} ±{half_width:.{digits}f}"


def verdict_view(verdict: Json, tracking_uri: str | None, again: str = "") -> Group:
    """The table, the verdict in words, and where to look next.

    Args:
        verdict: The verdict.
        tracking_uri: Where MLflow has the runs, or None if only others know.
        again: What the commands to look next with need to be told besides; see ``Place``.
    """
    name = verdict["name"]
    parts: list[RenderableType] = []
    if verdict["baseline"] is not None:
        parts.append(verdict_table(verdict))
        parts.append(
            Text(
                f"± half a 95% interval over {verdict['num_seeds']} fresh seeds"
                + ("; * the winner" if verdict["confirmed"] else "")
                + ("; + on the front too" if ON_FRONT in _marks(verdict).values() else "")
            )
        )
        parts.append(Text())
    style = "green" if verdict["confirmed"] else "yellow"
    parts += [
        Text(verdict["sentence"], style=style),
        Text(),
        Text("Look next:", style="bold"),
    ]
    if tracking_uri is not None:
        runs = f"shows every run in MLflow ({without_password(tracking_uri)})"
        parts.append(_unbroken(f"  monosweep ui  {runs}"))
    parts += [
        _unbroken(f"  monosweep report {name}{again}  writes all of it as one page with figures"),
        _unbroken(f"  monosweep best {name} --json{again}  prints the verdict as numbers"),
        _unbroken(f"  monosweep export {name} --output DIR{again}  writes all tables as Parquet"),
    ]
    return Group(*parts)


def _unbroken(line: str) -> Text:
    """A line that stays one, however long: what is in it can be copied."""
    return Text(line, no_wrap=True, overflow="ignore")


def no_verdict_view(
    name: str, state: str, search_ended: str | None = None, again: str = ""
) -> Group:
    """What to do while there is no verdict."""
    lines = [
        Text(f"The sweep {name} has no verdict yet ({state}).", style="yellow"),
        *([Text(search_ended)] if search_ended else []),
        _unbroken(f"Where it stands: monosweep status {name}{again}"),
    ]
    if state in ("interrupted", "stopped"):
        lines.append(_unbroken(f"Go on with it: monosweep resume {name}{again}"))
    return Group(*lines)


def status_view(status: Json, again: str = "") -> Group:
    """One sweep's state in a few lines.

    Args:
        status: See ``service.status``; of a server's sweep with what it adds.
        again: What the commands to go on with need to be told besides; see ``Place``.
    """
    stands = f"  {stage_in_words(status)}, phase {status['phase']}"
    lines = [Text.assemble((status["name"], "bold"), stands)]
    lines += [Text(line) for line in server_lines(status)]
    if waits := waiting_in_words(status):
        lines.append(Text(waits, style="yellow"))
    for phase in PHASES:
        counts = status["trials"] if phase == "search" else status["phases"][phase]
        known = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        budget = f" (budget {status['num_trials']})" if phase == "search" else ""
        if known:
            lines.append(Text(f"{TITLES[phase]:8} {known}{budget}"))
    # A verdict says so itself.
    if status["search_ended"] and not status["verdict"]:
        lines.append(Text(status["search_ended"]))
    if status["baseline"]:
        loss, ceiling = status["baseline"]["loss"], status["baseline"]["ceiling"]
        lines.append(
            Text(f"baseline loss {loss:.4f}; there is no ceiling")
            if ceiling is None
            else Text(f"ceiling  loss {ceiling:.4f}, the baseline having {loss:.4f}")
        )
    if status["best"]:
        lines += _found("best", status["best"], status)
    # Its first is the best one.
    for row in status["front"][1:MAX_ON_FRONT]:
        lines += _found("front", row, status)
    more = len(status["front"]) - MAX_ON_FRONT
    if more > 0:
        lines.append(
            Text(f"         and {more} more: monosweep status {status['name']} --json{again}")
        )
    if status["failure"]:
        lines.append(Text(status["failure"], style="red"))
    if status["verdict"]:
        lines.append(Text(status["verdict"]))
    if is_left(status):
        lines.append(Text(f"Go on with it: monosweep resume {status['name']}{again}"))
    if status["state"] == "deleting":
        lines.append(Text(f"Delete it to the end with: monosweep delete {status['name']}{again}"))
    return Group(*lines)


def _found(title: str, row: Json, status: Json) -> list[Text]:
    """A search trial in three lines."""
    most = status["max_loss_ratio"]
    limit = "" if most is None else f", at most {most:.4g}"
    names = [goal["name"] for goal in status["objectives"]]
    goals = ", ".join(
        f"{name.replace('_', ' ')} {row[name]:.3f}" for name in names if name != "num_neurons"
    )
    if "num_neurons" in names:
        goals = ", ".join(filter(None, [goals, f"{row['num_neurons']:.0f} neurons"]))
    params = ", ".join(f"{key} {_short(value)}" for key, value in row["params"].items())
    ratio = f"ratio {row['loss_ratio']:.4f} seed by seed{limit}"
    return [
        Text(f"{title:8} {row['trial']}, loss {row['loss']:.4f} ({ratio})"),
        Text(f"         {goals} with"),
        Text(f"         {params}"),
    ]


def statuses_table(statuses: Sequence[Json]) -> Table:
    """All sweeps, a line each."""
    table = Table()
    table.add_column("sweep", overflow="fold")
    for column in ("state", "phase", "search trials", "best"):
        table.add_column(column)
    for status in statuses:
        counts = status["trials"]
        ended = counts["complete"] + counts["pruned"] + counts["failed"]
        table.add_row(
            status["name"],
            stage_in_words(status),
            status["phase"],
            f"{ended}/{status['num_trials']}",
            status["best"]["trial"] if status["best"] else "-",
        )
    return table


def plan_view(settings: Json, resolved: "Resolved", estimate: "Estimate") -> Group:
    """What a sweep file says with every default, and what it will take."""
    table = Table.grid(padding=(0, 2))
    for name, value in _flattened(settings):
        table.add_row(name, value if isinstance(value, str) else json.dumps(value))
    trainings = ", ".join(f"{count} {phase}" for phase, count in estimate.trainings.items())
    total = sum(estimate.trainings.values())
    return Group(
        Text("Every setting, defaults included", style="bold"),
        table,
        Text(),
        Text("What it will take here", style="bold"),
        # Fewer where few trials are feasible, or finalists have the baseline's width or are the
        # best enqueued one.
        Text(f"trainings  at most {total} ({trainings})"),
        Text(
            f"cohorts    {_cohort_size(settings, resolved)}, {resolved.max_concurrent} at a time, "
            f"{resolved.precision} products, sampler {resolved.sampler}"
        ),
        Text(f"stopping   {_stopping(estimate.rungs)}"),
        Text(f"memory     about {estimate.cohort_bytes / 2**20:.0f} MiB a cohort at the widest"),
        Text(f"time       about {estimate.seconds / 60:.1f} min, by arithmetic alone"),
        *_budgets(settings["search"]),
        *_warnings(settings["objective"]),
    )


def _warnings(objective: Json) -> list[Text]:
    """What somebody should know of an objective before it is searched for."""
    named = [*objective["at_most"], *objective["at_least"]]
    for goals in (objective["maximize"], objective["minimize"]):
        named += [goals] if isinstance(goals, str) else goals or []
    if "train_s" not in named:
        return []
    return [
        Text(),
        Text(
            "train_s is a time that is measured: two sweeps of this file are not the same, and an "
            "interrupted one may go on otherwise.",
            style="yellow",
        ),
    ]


def _budgets(search: Json) -> list[Text]:
    """What may end the search sooner."""
    words = {
        "max_training_steps": "{} training steps",
        "max_hours": "{} hours at work",
        "patience": "{} trials in a row without a better one",
    }
    given = [text.format(search[name]) for name, text in words.items() if search[name] is not None]
    return [Text(f"search     ends sooner after {listed(given, 'or')}")] if given else []


def _stopping(rungs: Sequence[int]) -> str:
    """What early stopping does, in words."""
    if not rungs:
        return "none: every trial is trained to the end"
    return f"the worst of each search cohort at step {', '.join(map(str, rungs))}"


def _cohort_size(settings: Json, resolved: "Resolved") -> str:
    asked, num_trials = settings["compute"]["cohort_size"], settings["search"]["num_trials"]
    if asked != "auto" and asked > num_trials:
        return f"{num_trials} trials each (compute.cohort_size is {asked}, but there are no more)"
    if resolved.cohort_size == 1:
        return "1 trial each"
    if asked != "auto" or resolved.device == "cpu":
        return f"{resolved.cohort_size} trials each"
    return f"up to {resolved.cohort_size} trials each (measured when the sweep starts)"


def _flattened(settings: Json, prefix: str = "") -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping) and value and not prefix:
            rows += _flattened(value, f"{name}.")
        else:
            rows.append((f"{prefix}{name}", value))
    return rows


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
