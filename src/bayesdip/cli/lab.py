"""``bayesdip lab``: the sources' claims as experiments."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from bayesdip.cli.parameters import argument, option

lab = typer.Typer(help="The sources' claims as experiments, and the answer: should you buy the DIP?")

KEPT = Path("benchmarks/lab")
Keep = Annotated[Path, option(metavar="DIR", help="Where results, figures and the report are saved.")]


@lab.command("list")
def list_claims() -> None:
    """Number, name, claim, source, and what the quick size takes on one core."""
    from bayesdip.lab.catalogue import all_claims

    claims = all_claims()
    for claim in claims:
        typer.echo(
            f"{claim.number:2d}  {claim.name}  ({claim.seconds} s)  {claim.sentence}  [{claim.source}]"
        )
    minutes = sum(claim.seconds for claim in claims) / 60
    typer.echo(f"all {len(claims)}, quick, on one core: about {minutes:.0f} minutes")


@lab.command()
def run(
    name: Annotated[
        str,
        argument(metavar="NAME", help="A claim's name or number, a Python file with CLAIMS, or all."),
    ],
    full: Annotated[
        bool, option("--full/--quick", help="Larger pictures and networks, longer fits; or minutes.")
    ] = False,
    data: Annotated[
        Path | None, option(metavar="DIR", help="Pictures of this folder instead of scikit-image's.")
    ] = None,
    seeds: Annotated[
        int | None,
        option(metavar="N", help="8 when quick, 3 when full, unless given; a verdict needs 3."),
    ] = None,
    jobs: Annotated[
        int | None, option(metavar="N", help="Rows measured at once; else as many as there are cores.")
    ] = None,
    keep: Keep = KEPT,
) -> None:
    """Measure a claim and judge it. What was measured before, up to Ctrl-C too, is reused."""
    from bayesdip.lab.catalogue import named
    from bayesdip.lab.claim import FULL, QUICK
    from bayesdip.lab.running import run_claims
    from bayesdip.lab.statistics import verdict
    from bayesdip.processes import cores

    claims, size = named(name), FULL if full else QUICK
    jobs = cores() if jobs is None else jobs
    measuring = run_claims(claims, size, data=data, seeds=seeds, jobs=jobs, folder=keep, log=_to_stderr)
    try:
        with closing(measuring):  # wherever Ctrl-C falls, the workers end
            for claim, results, criteria in measuring:
                typer.echo(f"{claim.number}. {claim.sentence}")
                for criterion in criteria:
                    typer.echo(f"  {criterion}")
                typer.echo(f"  verdict: {verdict(criteria)}; saved in {results.file}")
    except KeyboardInterrupt:
        typer.echo(
            f"the rows measured so far are saved in {keep}: the same command continues from there", err=True
        )
        raise


@lab.command()
def report(keep: Keep = KEPT) -> None:
    """Write one page of all claims, Markdown and HTML, from what was measured."""
    from bayesdip.lab.catalogue import all_claims
    from bayesdip.lab.report import write

    for page in write(all_claims(), keep):
        typer.echo(f"written: {page}")


def _to_stderr(line: str) -> None:
    typer.echo(f"  {line}", err=True)
