"""What a form sent, read from the request's body."""

from urllib.parse import parse_qsl

from fastapi import Request
from starlette.exceptions import HTTPException

_MEDIA_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 16


async def form_of(request: Request) -> dict[str, str]:
    """A form's fields by their names, with line breaks as files have them.

    Raises:
        HTTPException: If it is none.
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
    return {name: value.replace("\r\n", "\n") for name, value in fields}
