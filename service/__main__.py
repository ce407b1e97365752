"""Where the command begins: signals are taken before anything that takes time is imported."""

from service import collecting, stopping


def main() -> None:
    """Run a command."""
    stopping.leave_when_signalled()
    collecting.rarely()
    from service import cli  # noqa: PLC0415 - takes half a second

    cli.main()


if __name__ == "__main__":
    main()
