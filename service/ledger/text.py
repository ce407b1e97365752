"""What somebody said, as the ledger keeps it."""

from service.home import without_password


def kept_text(said: str) -> str:
    """Without what no database keeps: a dying process may say anything.

    Passwords are stars: MLflow shows it to everybody.
    """
    return without_password(said.replace("\0", "").encode(errors="replace").decode())
