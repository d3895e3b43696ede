"""The verbs. A command is a typed function, and its docstring is its help."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from bayesdip.cli.guard import DenoisesByDefault, OneLineGroup
from bayesdip.cli.lab import lab
from bayesdip.cli.options import (
    INVERT_MASK,
    BatchOptions,
    CompareOptions,
    MethodOptions,
    Options,
    with_options,
)
from bayesdip.cli.parameters import argument, option

# `verbs.Prepare`, whose types would load numpy.
Prepare = Callable[[Any], Any]

app = typer.Typer(
    cls=OneLineGroup,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
batch = typer.Typer(
    cls=DenoisesByDefault,
    no_args_is_help=True,
    help="Restore many pictures: bayesdip batch [VERB] IN... -o DIR. Without a verb it denoises; 'bayesdip batch VERB --help' "
    "lists the options. Run again, it does what is missing or changed.",
)
app.add_typer(batch, name="batch")
app.add_typer(lab, name="lab")


def restoring(verb: Callable[..., Prepare]) -> Callable[..., Prepare]:
    """Make two commands of a function that prepares a verb: for one picture, and under ``batch`` for many."""
    name = verb.__name__

    @wraps(verb)
    def one(options: Options, **own: Any) -> None:
        prepare = verb(options=options, **own)
        from bayesdip.cli import restoring, tiled

        if tiled.takes(options):
            tiled.carry_out(name, options, own)
        else:
            restoring.carry_out(name, options, prepare)

    @wraps(verb)
    def many(options: BatchOptions, **own: Any) -> int:
        from bayesdip.cli.batch import carry_out

        return carry_out(verb, options, own)

    app.command(name)(with_options(one, Options))
    batch.command(name)(with_options(many, BatchOptions))
    return verb


def _show_version(wanted: bool) -> None:
    if wanted:
        from bayesdip import __version__

        typer.echo(f"bayesdip {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    version: Annotated[
        bool, option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Restore one degraded picture, with no training data, and say how sure every pixel is."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@restoring
def denoise(
    options: MethodOptions,
    sigma: Annotated[
        str,
        option(metavar="auto|S", help="Noise in the picture's own scale: one number, or S,S,S by channel."),
    ] = "auto",
    noise: Annotated[
        str,
        option(
            metavar="KIND",
            offers=("auto", "gaussian", "poisson", "poisson-gaussian", "laplace", "speckle", "correlated"),
            help="auto (found in the picture), gaussian, poisson, poisson-gaussian, laplace (outliers), speckle or correlated (shared by neighbours).",
        ),
    ] = "auto",
    gain: Annotated[
        float | None, option(metavar="G", help="For poisson: what one count adds to a pixel (1).")
    ] = None,
    offset: Annotated[
        float | None, option(metavar="O", help="For poisson, speckle: a pixel's value in the dark (0).")
    ] = None,
    looks: Annotated[
        float | None,
        option(metavar="L", help="For speckle: how many looks were averaged; else estimated."),
    ] = None,
) -> Prepare:
    """Remove noise. Its size is estimated unless --sigma is given."""
    from bayesdip.cli import noise_choice, verbs

    model = noise_choice.NoiseChoice.parse(noise, sigma, gain=gain, offset=offset, looks=looks)
    return lambda picture: verbs.denoising(picture, model, options.missing)


@restoring
def inpaint(
    options: MethodOptions,
    mask: Annotated[
        Path | None,
        option(metavar="MASK", help="Picture of the same size: white or painted is missing."),
    ] = None,
    invert_mask: Annotated[bool | None, option(help=INVERT_MASK)] = None,
    sigma: Annotated[
        str | None,
        option(
            metavar="auto|S",
            help="Noise on the known pixels, which are denoised then; with 0 they are exact. Not given, they stay as "
            "they are, and clear noise is taken into account in the holes.",
        ),
    ] = None,
    no_grow: Annotated[
        bool, option("--no-grow", help="Take the mask as it is, even if it seems painted too narrow.")
    ] = False,
    mosaic: Annotated[
        str | None,
        option(
            metavar="RGGB|...",
            help="The picture is a camera's raw data: what colours its first two pixels and the two below have seen.",
        ),
    ] = None,
) -> Prepare:
    """Fill in missing pixels: white or painted in MASK, transparent in the picture, or of a no-data value."""
    from bayesdip.cli import noise_choice, verbs

    known_noise = noise_choice.parse_if_clear(sigma)
    marked = verbs.MaskChoice(mask, invert_mask, options.missing)
    return lambda picture: verbs.inpainting(picture, marked, known_noise, not no_grow, mosaic)


@restoring
def upscale(
    options: MethodOptions,
    factor: Annotated[int, option(metavar="N", min=1, help="How many times as long each side becomes.")] = 4,
    kind: Annotated[
        str, option(metavar="lanczos|bicubic|area", help="How the picture was made small.")
    ] = "lanczos",
    sigma: Annotated[
        str | None,
        option(metavar="auto|S", help="Noise on the small picture; by default what is clearly seen, else 0."),
    ] = None,
) -> Prepare:
    """Restore the large picture of which this is a small version."""
    from bayesdip.cli import noise_choice, verbs

    small_noise = noise_choice.parse_if_clear(sigma)
    return lambda picture: verbs.upscaling(picture, factor, kind, small_noise, options.missing)


@restoring
def deblur(
    options: MethodOptions,
    psf: Annotated[
        Path, option(metavar="PSF", help="The blur of one bright point, as a picture or .npy array.")
    ],
    sigma: Annotated[
        str, option(metavar="auto|S", help="Noise on the blurred picture, in its own scale.")
    ] = "auto",
    boundary: Annotated[
        str,
        option(
            metavar="auto|unknown|reflect|periodic",
            help="What the blur saw beyond the border: more of the scene, or the picture reflected or repeated (auto: by the data).",
        ),
    ] = "auto",
) -> Prepare:
    """Undo a known blur."""
    from bayesdip.cli import noise_choice, verbs

    blurred_noise = noise_choice.parse_sigma(sigma)
    return lambda picture: verbs.deblurring(picture, psf, blurred_noise, boundary, options.missing)


@app.command()
@with_options
def compare(options: CompareOptions) -> None:
    """Which method is best on this picture? Ours and classical ones, ranked without a clean picture."""
    from bayesdip.cli import compare as comparing

    comparing.run(options)


@app.command()
def studio(
    host: Annotated[
        str, option(metavar="ADDRESS", help="Where to listen; elsewhere than here, a token is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, option(metavar="N", min=0, max=65535, help="0 takes a free one.")] = 7860,
    no_browser: Annotated[bool, option("--no-browser", help="Print the address only.")] = False,
) -> None:
    """Open the page: drop a picture, see it restored, and how sure every pixel is."""
    from bayesdip.cli import studio as page

    page.run(host, port, browse=not no_browser)


@app.command()
def demo(
    output: Annotated[
        Path, option("-o", "--output", metavar="DIR", help="Folder for the demo's files.")
    ] = Path("bayesdip-demo"),
    quick: Annotated[bool, option("--quick", help="Without sgld: seconds instead of minutes.")] = False,
    seed: Annotated[int, option(help="Seed of the damage and of the methods.")] = 0,
    json: Annotated[bool, option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Damage three pictures, restore each by the method that suits it, and say how well. Takes 3 minutes at most."""
    from bayesdip.cli.demo import show_demo

    show_demo(output, quick=quick, seed=seed, as_json=json)


@app.command()
def doctor(
    json: Annotated[bool, option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Say what is installed, what is missing for which feature, and what this machine has."""
    from bayesdip.cli.doctor import run

    return run(as_json=json)


ARCH_HELP = "A name, or one with settings: 'skip(scales=2, width=64)'."


@app.command()
def kernel(
    arch: Annotated[str, argument(metavar="ARCH", help=ARCH_HELP)],
    lags: Annotated[int, option(metavar="N", help="Reach of the plot, and of the values in --json.")] = 16,
    dims: Annotated[int, option(metavar="1|2", help="Signals or pictures.")] = 2,
    output: Annotated[
        Path | None, option("-o", "--output", metavar="FIGURE", help="Plot it here (.png, .svg, .pdf).")
    ] = None,
    force: Annotated[bool, option("--force", help="Replace an existing figure.")] = False,
    json: Annotated[bool, option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the kernel of an architecture, and how each layer changed it."""
    from bayesdip.cli.priors import show_kernel

    show_kernel(arch, lags, dims, output, force=force, as_json=json)


@app.command()
def sample(
    arch: Annotated[str, argument(metavar="ARCH", help=ARCH_HELP)],
    count: Annotated[int, option(metavar="N", help="How many draws of each.")] = 8,
    size: Annotated[int, option(metavar="PIXELS", help="Side of a draw.")] = 128,
    dims: Annotated[int, option(metavar="1|2", help="Signals or pictures.")] = 2,
    width: Annotated[int | None, option(metavar="N", help="Instead of the architecture's own.")] = None,
    seed: Annotated[int, option(help="Seed of the draws.")] = 0,
    output: Annotated[
        Path, option("-o", "--output", metavar="FIGURE", help="The figure (.png, .svg, .pdf).")
    ] = Path("samples.png"),
    force: Annotated[bool, option("--force", help="Replace an existing figure.")] = False,
) -> None:
    """Draw from a network and from the Gaussian process of the same kernel, side by side."""
    from bayesdip.cli.priors import show_samples

    show_samples(arch, count, size, dims, width, seed, output, force=force)
