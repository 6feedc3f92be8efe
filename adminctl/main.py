"""`adminctl`: global flags, and nouns that are imported only when they are used."""

import os
import signal
import sys
from typing import NoReturn

import click

from adminctl import exit_status
from adminctl.global_options import connection_of, global_options
from adminctl.lazily import import_stubs_lazily
from adminctl.nouns import Nouns

_NOUNS = {
    "status": ("adminctl.commands.status", "How the deployment is."),
    "doctor": ("adminctl.commands.doctor", "What is wrong, and what to do about it."),
    "top": ("adminctl.commands.top", "Everything at once, live."),
    "system": ("adminctl.commands.system", "Figures, events, and the read-only switch."),
    "instance": ("adminctl.commands.instance", "What runs, and where."),
    "backend": ("adminctl.commands.backend", "The stores behind the endpoint."),
    "bucket": ("adminctl.commands.bucket", "Buckets, their settings and what is in them."),
    "account": ("adminctl.commands.account", "Owners of buckets, for which identities act."),
    "identity": ("adminctl.commands.identity", "S3 clients, what they may do, and in which buckets."),
    "accesskey": ("adminctl.commands.accesskey", "What S3 clients sign with."),
    "token": ("adminctl.commands.token", "Tokens for the control API."),
    "whoami": ("adminctl.commands.whoami", "Who the server takes the caller for."),
    "usage": ("adminctl.commands.usage", "How much is stored, and how much may be."),
    "replication": (
        "adminctl.commands.replication",
        "Blobs with too few or too many copies, and repairing them.",
    ),
    "heal": ("adminctl.commands.heal", "Bytes made good again behind a prefix, and what cannot be."),
    "rebalance": ("adminctl.commands.rebalance", "How full backends are, and evening it out."),
    "cleanup": (
        "adminctl.commands.cleanup",
        "Bytes that wait for deletion, and uploads that nobody finishes.",
    ),
    "deadletter": ("adminctl.commands.deadletter", "Storage keys whose deletion was given up."),
    "key": ("adminctl.commands.key", "The key ring, and how much it seals."),
    "scrub": ("adminctl.commands.scrub", "Stored bytes, verified and made good."),
    "reconcile": ("adminctl.commands.reconcile", "Rows and bytes, compared both ways."),
    "maintenance": ("adminctl.commands.maintenance", "Everything checked, and what is dead given back."),
    "notification": (
        "adminctl.commands.notification",
        "Webhooks that are told of events, and events that did not arrive.",
    ),
    "worker": ("adminctl.commands.worker", "Background jobs."),
    "config": ("adminctl.commands.config", "The configuration that runs, and another in its place."),
    "object": (
        "adminctl.commands.object",
        "Where objects lie, what they are, links to them, and their removal.",
    ),
    "log": ("adminctl.commands.log", "Logs and requests of a node."),
    "audit": ("adminctl.commands.audit", "Who changed what."),
    "operation": ("adminctl.commands.operation", "Long-running actions."),
    "context": ("adminctl.commands.context", "Deployments by name."),
    "api": ("adminctl.commands.api", "Any method of the API by its name."),
    "completion": ("adminctl.commands.completion", "What a shell needs to complete command lines."),
    "version": ("adminctl.commands.version", "Versions of this command and of the server."),
}


@click.command(
    cls=Nouns,
    nouns=_NOUNS,
    aliases={"op": "operation"},
    params=global_options(),
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Options may also stand behind the verb. {exit_status.HELP}",
)
@click.pass_context
def cli(ctx: click.Context, /, **_: object) -> None:
    """Look after a Penstock deployment."""
    ctx.obj = connection_of(ctx)


def _end_interrupted(*_: object) -> NoReturn:
    """At once: the command holds nothing, and an exception may be swallowed where gRPC calls back."""
    os._exit(exit_status.ExitStatus.INTERRUPTED)


def _drop_output() -> None:
    """What could not be written is not to be tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """The command `adminctl`."""
    # gRPC's own log lines on stderr are not for operators; errors are told once, by the command.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    signal.signal(signal.SIGINT, _end_interrupted)
    import_stubs_lazily()
    try:
        status = cli.main(standalone_mode=False)
        # Here, where what goes wrong with it is still told.
        sys.stdout.flush()
    except click.exceptions.Abort:
        status = exit_status.ExitStatus.INTERRUPTED
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except UnicodeEncodeError:
        click.echo("error: an argument is not valid UTF-8", err=True)
        status = exit_status.ExitStatus.USAGE
    except BrokenPipeError:
        # Whoever read has read enough.
        _drop_output()
        status = exit_status.ExitStatus.OK
    except OSError as error:
        _drop_output()
        click.echo(f"error: INTERNAL: {error}", err=True)
        status = exit_status.ExitStatus.INTERNAL
    except Exception as error:  # the outermost handler: a traceback helps no operator
        click.echo(f"error: INTERNAL: {type(error).__name__}: {error}", err=True)
        status = exit_status.ExitStatus.INTERNAL
    sys.exit(status if isinstance(status, int) else 0)
