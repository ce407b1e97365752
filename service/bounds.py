"""What may be asked for at most: by sweep files, of a server, and by the commands that ask."""

from service.errors import UserError

# Of a search; memory for more is nowhere.
MOST_TRIALS = 10**6
MOST_PRIORITY = 100
MOST_LOG_LINES = 10_000


def check_num_trials(num_trials: int | None) -> None:
    """Refuse a larger number of trials than a sweep file may ask for, if one is given.

    Raises:
        UserError: If it is larger: a slip of the finger, which could not be taken back.
    """
    if num_trials is not None and num_trials > MOST_TRIALS:
        raise UserError(
            f"--num-trials must be at most {MOST_TRIALS}, found {num_trials}. Take fewer: a search "
            "can be extended again, never shortened."
        )
