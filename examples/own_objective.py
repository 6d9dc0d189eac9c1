"""An objective of one's own: the paper's Gram matrices at a fine and a coarse layer, watched as they fall.

python examples/own_objective.py [OUT]
"""

import sys
from pathlib import Path

import impasto
from impasto.recipe.terms import Content, Gram, TotalVariation

PICTURES = Path(__file__).parent / "pictures"


def main(out: str = "cup.png", size: int = 256) -> None:
    """Paint the cup in the style of the abstract picture, saving what there is after each scale."""
    recipe = impasto.Recipe(
        name="two Gram matrices",
        size=size,
        steps=(30, 20),
        terms=0.2 * Content("relu4_2") + Gram({"relu1_1": 0.7, "relu3_1": 0.3}) + 2 * TotalVariation(),
        optimizer=impasto.LBFGS(history=10),
    )
    run = impasto.Job(impasto.Inputs.of(PICTURES / "coffee.jpg", [PICTURES / "bauhaus.jpg"]), recipe).start()
    for event in run:
        if isinstance(event, impasto.Stepped) and event.step == event.steps:
            print(f"scale {event.scale}: " + ", ".join(f"{name} {value:.4f}" for name, value in event.terms.items()))
            run.picture().save(out)
    run.picture().save(out)


if __name__ == "__main__":
    main(*sys.argv[1:2])
