"""seewhy answer AUDIT_DIR ID spurious|real|unknown"""

from __future__ import annotations

import os

import click

from .console import console, shown


@click.command("answer", short_help="Say whether a finding of an audit is spurious or part of the object.")
@click.argument("audit_dir", metavar="AUDIT_DIR", type=click.Path(readable=False))
@click.argument("finding", metavar="ID")
@click.argument("answer", metavar="spurious|real|unknown")
def command(audit_dir: str, finding: str, answer: str) -> None:
    """Say whether what a finding shows is spurious or part of the object, which no measurement can tell.

    The answer is kept in findings.json, also when the audit is made again there. `seewhy fix` does nothing against
    what is real, and may be used against whatever is spurious.
    """
    from ..auditing.result import FILE, Audit

    if os.path.basename(audit_dir) == FILE and not os.path.isdir(audit_dir):
        audit_dir = os.path.dirname(audit_dir) or "."
    found = Audit.load(audit_dir).answered(finding, answer)
    path = found.save(audit_dir, overwrite=True)
    (each,) = (each for each in found.findings if each.id == finding)
    terminal = console()
    terminal.print(f"{answer}: {shown(each.sentence)}\n[bold]{shown(path)}[/bold]", soft_wrap=True)
