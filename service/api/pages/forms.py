"""What a form sent, read from the request's body."""

import re
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.exceptions import HTTPException

from service.errors import UserError

_MEDIA_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 16
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


async def form_of(request: Request) -> dict[str, str]:
    """A form's fields by their names, with line breaks as files have them.

    Raises:
        HTTPException: If it is none.
        UserError: If a field has control characters in it.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _MEDIA_TYPE:
        raise HTTPException(
            415, f"what is sent must be a form ({_MEDIA_TYPE}), found another kind."
        )
    body = await request.body()
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise HTTPException(
            400, "a form must be one that a browser sends, found another."
        ) from error
    form = {name: value.replace("\r\n", "\n") for name, value in fields}
    # No key, name, token or file has any, and no database keeps the first of them.
    broken = [ascii(name[:64]) for name, value in form.items() if _CONTROLS.search(name + value)]
    if broken:
        raise UserError(
            "what is typed must be text, without control characters but tabs and line breaks, "
            f"found another in {', '.join(broken)}. Go back and mend it."
        )
    return form
