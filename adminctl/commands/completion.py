"""`adminctl completion`: what a shell needs to complete command lines."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Write the script by which a shell completes nouns, verbs, options and names.

    \b
    bash: eval "$(adminctl completion bash)" in ~/.bashrc
    zsh:  eval "$(adminctl completion zsh)" in ~/.zshrc
    fish: adminctl completion fish > ~/.config/fish/completions/adminctl.fish
    """
    from click.shell_completion import get_completion_class

    from adminctl.main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "adminctl", "_ADMINCTL_COMPLETE").source())
