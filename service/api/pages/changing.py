"""The forms that stop, resume, extend and delete a sweep, each by the API's own route."""

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from service.api.access import CallerParameter, OwnerRoute
from service.api.backing import BackingParameter
from service.api.models import Extension
from service.api.pages.forms import form_of
from service.api.pages.paths import HOME
from service.api.routes import changes
from service.api.routes.sweeps import NameParameter
from service.errors import UserError

router = APIRouter(prefix="/sweeps", route_class=OwnerRoute)


@router.post("/{name}/stop")
async def stop(name: NameParameter, backing: BackingParameter) -> Response:
    """Have a sweep's driver end."""
    await changes.stop(name, backing)
    return _shown(name)


@router.post("/{name}/resume")
async def resume(
    name: NameParameter, backing: BackingParameter, caller: CallerParameter
) -> Response:
    """Have a sweep driven again."""
    await changes.resume(name, backing, caller)
    return _shown(name)


@router.post("/{name}/extend")
async def extend(
    name: NameParameter, request: Request, backing: BackingParameter, caller: CallerParameter
) -> Response:
    """Have a sweep's search go on to more trials."""
    given = (await form_of(request)).get("num_trials", "").strip()
    if not (given.isascii() and given.isdecimal() and 0 < len(given) <= 6 and int(given) > 0):
        raise UserError(
            f"num_trials must be a whole number from 1 to 999999, found {given[:20]!r}. Go back "
            "and give another."
        )
    await changes.extend(name, Extension(num_trials=int(given)), backing, caller)
    return _shown(name)


@router.post("/{name}/delete")
async def delete(
    name: NameParameter, request: Request, backing: BackingParameter, caller: CallerParameter
) -> Response:
    """Delete a sweep whose name was typed again."""
    given = (await form_of(request)).get("confirm", "").strip()
    if given != name:
        raise UserError(
            f"a deletion must be confirmed by the sweep's name, {name}, found another one. Go back "
            "and type it."
        )
    await changes.delete(name, backing, caller, given)
    return RedirectResponse(HOME, 303)


def _shown(name: str) -> Response:
    """Back to the sweep's page, which a reload then asks for, and not for the deed again."""
    return RedirectResponse(f"/sweeps/{name}", 303)
