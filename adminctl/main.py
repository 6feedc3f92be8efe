"""`adminctl`: global flags, and nouns that are imported only when they are used."""

import importlib
import os
import signal
import sys
from typing import NoReturn

import click

from adminctl import exit_status

_NOUNS = {
    "status": ("adminctl.commands.status", "How the deployment is."),
    "instance": ("adminctl.commands.instance", "What runs, and where."),
    "backend": ("adminctl.commands.backend", "The stores behind the endpoint."),
    "worker": ("adminctl.commands.worker", "Background jobs."),
    "config": ("adminctl.commands.config", "The configuration that runs, and checks of a new one."),
    "object": ("adminctl.commands.object", "Where objects lie."),
    "operation": ("adminctl.commands.operation", "Long-running actions."),
    "version": ("adminctl.commands.version", "Versions of this command and of the server."),
}


class LazyNouns(click.Group):
    """Looks a noun up without importing the others: completion and `--help` stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _NOUNS:
            return None
        command = importlib.import_module(_NOUNS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, told) in _NOUNS.items()])


def _checked_token(ctx: click.Context, parameter: click.Parameter, token: str | None) -> str | None:
    if token is not None and not (token.isascii() and token.isprintable()):
        raise click.BadParameter("a token is printable ASCII; a line end or a blank may have slipped in")
    return token


@click.command(
    cls=LazyNouns, context_settings={"help_option_names": ["-h", "--help"]}, epilog=exit_status.HELP
)
@click.option("--address", envvar="PENSTOCK_ENDPOINT", help="host:port or unix:PATH of the control plane.")
@click.option(
    "--token",
    envvar="PENSTOCK_TOKEN",
    callback=_checked_token,
    help="Admin token; better given as PENSTOCK_TOKEN.",
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.1, 3600),
    default=10.0,
    show_default=True,
    help="Seconds a call may take.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show address and trailers of a failed call.")
@click.pass_context
def cli(
    ctx: click.Context, address: str | None, token: str | None, output: str, timeout_s: float, verbose: bool
) -> None:
    """Look after a Penstock deployment."""
    if ctx.resilient_parsing or ctx.invoked_subcommand is None:
        return
    from adminctl.client import DEFAULT_ADDRESS, Connection

    ctx.obj = Connection(
        address=address or DEFAULT_ADDRESS,
        token=token,
        output=output,
        timeout_s=timeout_s,
        is_verbose=verbose,
    )


def _end_interrupted(*_: object) -> NoReturn:
    """At once: the command holds nothing, and an exception may be swallowed where gRPC calls back."""
    os._exit(exit_status.ExitStatus.INTERRUPTED)


def main() -> None:
    """The command `adminctl`."""
    # gRPC's own log lines on stderr are not for operators; errors are told once, by the command.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    signal.signal(signal.SIGINT, _end_interrupted)
    try:
        status = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        status = exit_status.ExitStatus.INTERRUPTED
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except UnicodeEncodeError:
        click.echo("error: an argument is not valid UTF-8", err=True)
        status = exit_status.ExitStatus.USAGE
    except Exception as error:  # the outermost handler: a traceback helps no operator
        click.echo(f"error: INTERNAL: {type(error).__name__}: {error}", err=True)
        status = exit_status.ExitStatus.INTERNAL
    sys.exit(status if isinstance(status, int) else 0)
