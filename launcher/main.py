"""The command `penstock`: parses its arguments and runs one subcommand, importing only what that one needs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from launcher.exit_status import ExitStatus

_PORTS = (
    ("--s3-port", 9000, "port of the S3 endpoint"),
    ("--control-port", 9001, "port of the control API"),
    ("--ui-port", 9002, "port kept for the web UI, which is not built yet"),
    ("--metrics-port", 9090, "port of metrics and health"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `penstock` with its arguments; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return ExitStatus.FAILED


def _run(options: argparse.Namespace) -> int:
    if options.command == "serve":
        from launcher.serve import serve

        return serve(options.config, only=options.only, reloads=options.reload)
    if options.command == "init":
        from launcher.init import InitRefused, Wish, init

        wish = Wish(
            data=options.data.absolute(),
            out=(options.out or options.data / "penstock.yaml").absolute(),
            s3_port=options.s3_port,
            control_port=options.control_port,
            metrics_port=options.metrics_port,
            volume_count=options.volumes,
            copy_count=options.copies,
        )
        try:
            return init(wish, asks=not options.yes and sys.stdin.isatty())
        except InitRefused as refusal:
            print(f"penstock init: {refusal}", file=sys.stderr)
            return ExitStatus.FAILED
    if options.command == "validate":
        from launcher.validate import validate

        return validate(options.config)
    if options.command == "fsck":
        from launcher.fsck import fsck

        return fsck(options.config, as_json=options.output == "json")
    if options.command == "token":
        from launcher.token import reset

        return reset(options.config, options.name)
    if options.command == "migrate":
        from launcher.migrate import sqlite_to_postgres

        return sqlite_to_postgres(options.source, options.target)
    from launcher.version import version_line

    print(version_line())
    return ExitStatus.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="penstock",
        description="One S3 endpoint in front of many stores.",
        epilog="Exit status: 0 done, 1 failed, 2 wrong arguments, 78 the configuration cannot run here.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the data plane and the control plane until told to stop")
    _add_config(serve)
    serve.add_argument("--only", choices=("dataplane", "controlplane"), help="run one of the two")
    serve.add_argument(
        "--reload",
        action="store_true",
        help="make a changed file the next generation first; without it a start over PostgreSQL runs the newest one",
    )

    init = commands.add_parser(
        "init", help="set up a new deployment: configuration, keys, credentials, volumes"
    )
    init.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder for everything it stores"
    )
    init.add_argument(
        "--out", type=Path, metavar="FILE", help="the configuration (default: DIR/penstock.yaml)"
    )
    for flag, port, text in _PORTS:
        init.add_argument(flag, type=_port, default=port, metavar="N", help=f"{text} (default: {port})")
    init.add_argument(
        "--volumes", type=int, default=3, metavar="N", help="local volumes to make (default: 3)"
    )
    init.add_argument("--copies", type=int, default=1, metavar="N", help="copies of each object (default: 1)")
    init.add_argument(
        "--yes", action="store_true", help="do not ask; nothing that exists is ever overwritten"
    )

    validate = commands.add_parser("validate", help="name every problem of a configuration with its line")
    _add_config(validate)

    fsck = commands.add_parser("fsck", help="compare the metadata with every stored byte, and change neither")
    _add_config(fsck)
    fsck.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="form of the result (default: text)"
    )

    token = commands.add_parser("token", help="look after the admin tokens of a configuration")
    deeds = token.add_subparsers(dest="deed", required=True, metavar="DEED")
    reset = deeds.add_parser("reset", help="put a new token in the place of a lost one, and print it")
    _add_config(reset)
    reset.add_argument("--name", help="which token (default: the only one of an admin)")

    migrate = commands.add_parser("migrate", help="move a deployment's metadata to another database")
    moves = migrate.add_subparsers(dest="move", required=True, metavar="MOVE")
    to_postgres = moves.add_parser(
        "sqlite-to-postgres",
        help="copy every row, compare both sides, and put the SQLite file out of the way; nothing may run meanwhile",
    )
    to_postgres.add_argument(
        "--from",
        dest="source",
        type=Path,
        required=True,
        metavar="FILE",
        help="the configuration over SQLite",
    )
    to_postgres.add_argument(
        "--to",
        dest="target",
        type=Path,
        required=True,
        metavar="FILE",
        help="the configuration over PostgreSQL",
    )

    commands.add_parser("version", help="print the version")
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the configuration file")


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
