"""What ``monosweep reproduce`` prints for people."""

from rich.console import Group
from rich.text import Text

from service.reproduction import Difference, Reproduction


def reproduction_view(found: Reproduction) -> Group:
    """Whether the numbers are the same, the first that is not, and what it may come from."""
    trial, networks = found.trial, len(found.trial.seeds)
    what = f"{trial.trial_id} ({trial.state}): {networks} network{'s' * (networks > 1)} trained "
    lines = [Text(f"{what}again for {found.num_steps} steps, alone")]
    if found.differences:
        lines.append(Text("Not the same numbers:", style="yellow"))
        lines += [Text(f"  {_said(one)}") for one in found.differences]
    else:
        said = f"All {found.num_numbers} numbers of its curves are the same, bit for bit."
        lines.append(Text(said, style="green"))
    if found.changed:
        listed = ", ".join(f"{name} {then} -> {now}" for name, (then, now) in found.changed.items())
        lines.append(Text(f"Other versions than when the sweep was begun: {listed}"))
    elif found.differences:
        lines.append(
            Text("The versions are those of then; another kind of machine rounds otherwise.")
        )
    return Group(*lines)


def _said(one: Difference) -> str:
    then = "nothing" if one.recorded is None else repr(one.recorded)
    now = "nothing" if one.again is None else repr(one.again)
    name = one.metric.replace("_", " ")
    return f"seed {one.seed}: {name} at step {one.step} was {then}, is {now}; it is the first"
