"""The commands together, and what ``convarium`` says of itself."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.main import get_command

from . import calibrate, checkpoint, convert, deblur, evaluate, explain, graph, look, plan, predict, shapes, train

app = typer.Typer(
    name="convarium",
    help="Convolutions of every kind, trained side by side: shared, tiled, channel-local and local.",
    epilog="Start with:  convarium train digits",
    rich_markup_mode="markdown",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("look")(look.look)
app.add_typer(checkpoint.app, name="checkpoint")
app.command("plan")(plan.plan)
app.command("explain")(explain.explain)
app.command("shapes")(shapes.shapes)
app.command("graph", context_settings={"ignore_unknown_options": True})(graph.graph)  # --with is one of its words
app.command("convert")(convert.convert)
app.command("deblur")(deblur.deblur)
app.command("calibrate")(calibrate.calibrate)


@app.callback(invoke_without_command=True)
def begin(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        import convarium

        print(f"convarium {convarium.__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit


def command() -> Any:
    return get_command(app)
