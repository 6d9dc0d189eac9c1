"""pystiche's tutorial as a program that paints or evaluates a picture. It needs pystiche and does not use impasto.

python -m benchmarks.peers.pystiche_program paint WEIGHTS CONTENT STYLE OUT STEPS DEVICE
python -m benchmarks.peers.pystiche_program judge WEIGHTS CONTENT STYLE PICTURE
"""

import json
import sys
from typing import Any

import torch
from pystiche import enc, loss, optim  # type: ignore[import-not-found]
from pystiche.image import read_image, write_image  # type: ignore[import-not-found]

CONTENT_LAYER = "relu4_2"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
# pystiche's tutorial: content_weight 1e0, style_weight 1e3.
CONTENT_WEIGHT, STYLE_WEIGHT = 1e0, 1e3


def criterion(weights: str, content: Any, style: Any) -> Any:
    """Return the objective, with the pictures set as its targets."""
    encoder = enc.vgg16_multi_layer_encoder(pretrained=False, framework="caffe")
    encoder.load_state_dict(torch.load(weights, weights_only=True), strict=False, framework="caffe")
    encoder.requires_grad_(False)
    content_loss = loss.FeatureReconstructionLoss(encoder.extract_encoder(CONTENT_LAYER), score_weight=CONTENT_WEIGHT)
    style_loss = loss.MultiLayerEncodingLoss(
        encoder,
        STYLE_LAYERS,
        lambda layer, weight: loss.GramLoss(layer, score_weight=weight),
        score_weight=STYLE_WEIGHT,
    )
    objective = loss.PerceptualLoss(content_loss, style_loss).to(content.device)
    objective.set_content_image(content)
    objective.set_style_image(style)
    return objective


def judged(objective: Any, image: Any) -> dict[str, Any]:
    """Return the objective's value of an image, term by term."""
    with torch.no_grad():
        values = objective(image)
    return {
        "total": float(values),
        "content": float(values["content_loss"]),
        "style": [float(values[f"style_loss.{layer}"]) for layer in STYLE_LAYERS],
        "smoothness": 0.0,
    }


def main() -> None:
    """Do what is asked and print one line of JSON."""
    task, weights, content_file, style_file, picture, *rest = sys.argv[1:]
    device = rest[1] if rest else "cpu"
    content, style = (read_image(file, device=device) for file in (content_file, style_file))
    objective = criterion(weights, content, style)
    if task == "judge":
        print(json.dumps(judged(objective, read_image(picture))))
        return
    image = optim.image_optimization(content.clone(), objective, num_steps=int(rest[0]), quiet=True)
    write_image(image, picture)
    print(json.dumps(judged(objective, image)))


if __name__ == "__main__":
    main()
