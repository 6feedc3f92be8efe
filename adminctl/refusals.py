"""What the command line itself refuses: one line on stderr, and the exit status of wrong usage."""

import click

from adminctl.exit_status import ExitStatus


class Refused(click.ClickException):
    """What was asked for cannot be meant, or its files cannot be used; the text says why."""

    exit_code = ExitStatus.USAGE

    def show(self, file: object = None) -> None:
        click.echo(f"error: {self.format_message()}", err=True)
