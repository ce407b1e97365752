"""The commands about a sweep file alone: validate, schema."""

from service.commands.terminal import SpecArgument, out, print_json


def validate(spec: SpecArgument) -> None:
    """Check a sweep file, and say what it will take."""
    from service.display import plan_view
    from service.estimate import estimate
    from service.planning import resolve
    from service.room import Machine, Room
    from service.spec import load_spec

    loaded = load_spec(spec)
    here = Machine.here()
    resolved = resolve(loaded, Room((here,)))
    out.print(plan_view(loaded.settings(), resolved, estimate(loaded, resolved)))
    if not here.num_cohorts(resolved.cpus, resolved.gpus):
        out.print(
            f"Not on this machine: a cohort needs {resolved.cpus} CPUs and {resolved.gpus:g} GPUs, "
            f"found {here.num_cpus} and {here.num_gpus:g}. Run it on a cluster (--address), or "
            "lower compute.cpus or compute.gpus.",
            style="yellow",
            highlight=False,
        )


def schema() -> None:
    """Print the JSON Schema of the sweep file."""
    from service.spec import json_schema

    print_json(json_schema())
