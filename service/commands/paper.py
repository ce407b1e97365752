"""The command that trains the paper's batches, and judges its claims."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.terminal import AddressOption, JsonOption, err, home_here, out, print_json
from service.errors import UserError

if TYPE_CHECKING:
    from service.paper.result import BatchResult
    from service.paper.scaling import ScaledBatch, Scaling

CLAIMS = "claims"


def paper(
    batch: Annotated[
        str | None,
        typer.Argument(metavar="[BATCH]", help="A batch of the paper's, such as LR1; or claims."),
    ] = None,
    *,
    scale: Annotated[
        int | None, typer.Option(help="Divides features, inputs and neurons together.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps of each network.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples in each step.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Networks trained at each point.")] = None,
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train one of the paper's batches, or go on with it, and say whether its claim held.

    Without a batch: the list of them. claims: the paper's claims, judged from a few batches.
    """
    asked = {"scale": scale, "num_steps": steps, "batch_size": batch_size, "num_seeds": seeds}
    if batch is None:
        from service.paper.view import batches_view

        _check_nothing_is_asked(asked, address, as_json)
        out.print(batches_view())
        return
    names = _batches(batch)
    scaling = replace(
        _usual(batch), **{name: value for name, value in asked.items() if value is not None}
    )
    results = _trained(names, scaling, batch, address)
    _show_claims(results, as_json) if batch == CLAIMS else _show_batch(results[batch], as_json)


def _check_nothing_is_asked(
    asked: Mapping[str, int | None], address: str | None, as_json: bool
) -> None:
    """Nothing is trained without a batch, so that an option would be lost.

    Raises:
        UserError: If there is one.
    """
    options = {
        "--scale": asked["scale"],
        "--steps": asked["num_steps"],
        "--batch-size": asked["batch_size"],
        "--seeds": asked["num_seeds"],
        "--address": address,
        "--json": as_json or None,
    }
    found = [option for option, value in options.items() if value is not None]
    if found:
        raise UserError(
            f"options must come with a BATCH that they are for, found {' and '.join(found)} "
            f"without one. Name one: monosweep paper BATCH, or monosweep paper {CLAIMS}; without "
            "options monosweep paper lists them."
        )


def _batches(name: str) -> tuple[str, ...]:
    """The batches that a name means.

    Raises:
        UserError: If it is none.
    """
    from search_spaces.paper import BATCHES
    from service.spec.fields import nearest
    from service.spec.yaml_values import clipped

    if name == CLAIMS:
        from service.paper.claims import BATCHES_OF_CLAIMS

        return BATCHES_OF_CLAIMS
    if name not in BATCHES:
        meant = nearest(name, (*BATCHES, CLAIMS))
        raise UserError(
            f"BATCH must be {CLAIMS} or one of {', '.join(BATCHES)}, found {clipped(name)}. "
            + (f"Did you mean {meant}? " if meant else "")
            + "What each varies: monosweep paper"
        )
    return (name,)


def _usual(batch: str) -> "Scaling":
    """The size and budget where nothing else is asked for: of a batch the paper's own."""
    from service.paper.claims import CLAIMS_SCALING
    from service.paper.scaling import PAPERS_OWN

    return CLAIMS_SCALING if batch == CLAIMS else PAPERS_OWN


def _trained(
    names: tuple[str, ...], scaling: "Scaling", asked: str, address: str | None
) -> "dict[str, BatchResult]":
    """What came of each batch, trained as far as it was not."""
    from search_spaces.paper import BATCHES
    from service.paper.scaling import scaled
    from service.paper.sweep_files import command
    from service.paper.training import trained
    from service.paper.view import plan_view

    # All of them first: a mistake is found before anything is trained.
    batches: dict[str, ScaledBatch] = {name: scaled(BATCHES[name], scaling) for name in names}
    for each in batches.values():
        err.print(plan_view(each, is_here=address is None), highlight=False)
    again = command(asked, scaling, _usual(asked))
    return {
        name: trained(each, home_here(), address=address, again=again)
        for name, each in batches.items()
    }


def _show_batch(result: "BatchResult", as_json: bool) -> None:
    from service.paper.batch_claims import judged
    from service.paper.figure import write_figures
    from service.paper.view import batch_view

    judgement, figures = judged(result), write_figures(result, home_here())
    if as_json:
        print_json(
            {
                **result.as_json(),
                "claim": judgement.as_json(),
                "figures": [str(path) for path in figures],
            }
        )
    else:
        out.print(batch_view(result, judgement, figures), highlight=False, crop=False)


def _show_claims(results: "dict[str, BatchResult]", as_json: bool) -> None:
    from service.paper.claims import UNDERSTOOD, Found, judged
    from service.paper.figure import write_figures
    from service.paper.understanding import understood
    from service.paper.view import claims_view

    networks = understood((results[name] for name in UNDERSTOOD), home_here())
    claims = judged(Found(results, networks))
    figures = {name: write_figures(result, home_here()) for name, result in results.items()}
    if as_json:
        print_json(
            {
                "claims": [claim.as_json() for claim in claims],
                "batches": [
                    {**result.as_json(), "figures": [str(path) for path in figures[name]]}
                    for name, result in results.items()
                ],
            }
        )
    else:
        out.print(claims_view(claims, results.values(), figures), highlight=False, crop=False)
