"""What a new worker imports before it can train, ahead of its first cohort."""


def warm_up(_: object) -> None:
    """Import what a cohort's training does: seconds, in which nobody has to wait for it."""
    # The class that trains, and with it Tune's own modules.
    import trainers.training  # noqa: F401, PLC0415
