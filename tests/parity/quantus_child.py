"""Runs Quantus' metrics on an equal torch network: `python quantus_child.py FOLDER`, by an interpreter that has it.

The folder holds `arrays.npz`, made by test_quantus.py: images, maps and whatever chance draws, so that both sides draw
the same, and the weights of the network; afterwards also `found.npz` with what each metric gives.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))
from torch_child import network, without_torchvision

without_torchvision()
import quantus  # noqa: E402
from quantus.functions.perturb_func import noisy_linear_imputation  # noqa: E402
from quantus.functions.similarity_func import correlation_spearman, ssim  # noqa: E402
from quantus.helpers.model.pytorch_model import PyTorchModel  # noqa: E402
from quantus.helpers.utils import calculate_auc  # noqa: E402

RAW = {"abs": False, "normalise": False, "disable_warnings": True}
"""Maps as they are: by default Quantus divides them by the largest value of the whole batch."""
HERE = {"channel_first": True, "device": "cpu"}


def saliency(model, inputs, targets, **_):
    """Input gradient of the class's logit, channels summed."""
    x = torch.as_tensor(inputs, dtype=torch.float32).requires_grad_()
    logits = model(x)
    [gradient] = torch.autograd.grad(logits[torch.arange(len(x)), torch.as_tensor(targets)].sum(), x)
    return gradient.sum(dim=1, keepdim=True).numpy()


def instead(values):
    """A perturbation that gives these values (N, C, H, W), whatever it is asked for."""
    return lambda arr, indices, **_: values.reshape(arr.shape).copy()


def flipping(model, a, x, maps, k):
    """Deletion to grey, and insertion as a perturbation of the blurred image that reveals the sharp one."""

    def reveal(arr, indices, **_):
        revealed, rows = arr.copy(), np.arange(len(arr))[:, None]
        revealed[rows, indices] = x.reshape(len(x), -1)[rows, indices]
        return revealed

    step = int(a["values_a_step"])
    deletion = quantus.PixelFlipping(features_in_step=step, perturb_baseline=0.5, **RAW)
    insertion = quantus.PixelFlipping(features_in_step=step, perturb_func=reveal, **RAW)
    return {
        "deletion": deletion(model, x, k, maps, softmax=True, **HERE),
        "insertion": insertion(model, a["blurred"], k, maps, softmax=True, **HERE),
        "area": calculate_auc(a["curves"], batched=True),
    }


def road(model, a, x, maps, k):
    """Images (N, S) with each hole filled in, without noise; their probabilities; what the metric says of colours."""
    filled = [[noisy_linear_imputation(image, np.flatnonzero(hole), noise=0.0) for hole in holes]
              for image, holes in zip(x, a["holes"], strict=True)]  # fmt: skip
    filled = np.array(filled, np.float32)
    with torch.no_grad():
        p = model(torch.tensor(filled.reshape(-1, *x.shape[1:]))).softmax(dim=1).numpy()
    p = p[np.arange(len(p)), np.repeat(k, filled.shape[1])].reshape(filled.shape[:2])
    try:
        message = str(quantus.ROAD(percentages=[30], **RAW)(model, x, k, maps, **HERE))
    except IndexError as error:
        message = f"IndexError: {error}"
    return {"filled": filled.transpose(0, 1, 3, 4, 2), "probabilities": p, "road of colours": message}


def correlation(model, a, x, maps, k):
    """Faithfulness correlation with our subsets of whole pixels, then with its own of single colour values."""
    subsets, numpy_choice = a["subsets"], np.random.choice
    draws = iter(subsets.swapaxes(0, 1).reshape(-1, subsets.shape[-1]))
    options = {"nr_runs": subsets.shape[1], "subset_size": subsets.shape[2], "perturb_baseline": 0.5, **RAW}
    metric = quantus.FaithfulnessCorrelation(return_aggregate=False, **options)
    np.random.choice = lambda *_, **__: next(draws)
    fed = metric(model, x, k, maps, softmax=False, **HERE)
    np.random.choice = numpy_choice
    linear = nn.Sequential(nn.Flatten(), nn.Linear(x[0].size, 2, bias=False)).eval()
    linear[1].weight.data = torch.tensor(a["linear"])
    np.random.seed(0)
    first = np.zeros(len(x), int)
    metric = quantus.FaithfulnessCorrelation(return_aggregate=False, **options | {"subset_size": 256})
    alone = metric(linear, x, first, a["linear_maps"], softmax=False, **HERE)
    complete = quantus.Completeness(perturb_baseline=0.5, **RAW)
    complete_batch = complete(linear, x, first, a["linear_maps"], softmax=False, **HERE)
    return {"correlation": fed, "correlation of colours": alone, "complete": complete_batch}


def randomization(model, x, maps, k):
    """Likeness to the maps at each depth of destruction, and the weights there in Keras' shapes."""
    results = {}
    for order, short in (("top_down", "down"), ("independent", "alone")):
        metric = quantus.MPRT(similarity_func=correlation_spearman, layer_order=order, seed=3, **RAW | {"abs": True})
        scores = metric(model, x, k, maps, explain_func=saliency, **HERE)
        results[short] = np.array([values for name, values in scores.items() if name != "original"])
        for i, (_, explanation) in enumerate(PyTorchModel(model).get_random_layer_generator(order=order, seed=3)):
            results |= {f"{short}{i}/{j}": w for j, w in enumerate(in_keras(explanation, x))}
            if short == "down":
                results[f"redrawn{i}"] = saliency(explanation, x, k)[:, 0]
    flat = quantus.MPRT(similarity_func=lambda a, b, **_: np.array(ssim(a, b, batched=True)), seed=3,
                        layer_order="top_down", **RAW | {"abs": True})  # fmt: skip
    scores = flat(model, x, k, maps, explain_func=saliency, **HERE)
    return results | {"ssim of rows": list(scores.values())[-1]}


def in_keras(model, x):
    """Weights of the layers from the input to the output."""
    shape = model[:6](torch.tensor(x[:1])).shape[1:]
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            yield layer.weight.detach().permute(2, 3, 1, 0).numpy().copy()
        elif isinstance(layer, nn.Linear):
            w = layer.weight.detach().T
            if len(w) == shape.numel():  # torch flattens channels first
                w = w.reshape(*shape, -1).permute(1, 2, 0, 3).reshape(w.shape)
            yield w.numpy().copy()
        if hasattr(layer, "bias"):
            yield layer.bias.detach().numpy().copy()


def steadiness(model, a, x, maps, k):
    options = {"nr_samples": 1, "perturb_func": instead(a["noisy"]), "return_nan_when_prediction_changes": True}
    lipschitz, sensitivity = (
        kind(**options, **RAW) for kind in (quantus.LocalLipschitzEstimate, quantus.AvgSensitivity)
    )
    default = quantus.LocalLipschitzEstimate(**options, abs=False, normalise=True, disable_warnings=True)
    how = {"explain_func": saliency, **HERE}
    return {
        "lipschitz": lipschitz(model, x, k, maps, **how),
        "sensitivity": sensitivity(model, x, k, maps, **how),
        "lipschitz in a batch": default(model, x, k, maps, **how),
        "lipschitz alone": [value for i in range(len(x)) for value in _alone(a, x, maps, k, model, how, i)],
    }


def _alone(a, x, maps, k, model, how, i):
    only = slice(i, i + 1)
    metric = quantus.LocalLipschitzEstimate(nr_samples=1, perturb_func=instead(a["noisy"][only]), abs=False,
                                            normalise=True, return_nan_when_prediction_changes=True,
                                            disable_warnings=True)  # fmt: skip
    return metric(model, x[only], k[only], maps[only], **how)


def places(a, x, maps, k):
    """Where the evidence lies; the first mask is empty in `empty`."""
    positive, masks, empty = np.maximum(maps, 0), a["masks"][:, None], a["masks"][:, None].copy()
    empty[0] = 0
    game, mass, focus = (kind(**RAW) for kind in (quantus.PointingGame, quantus.RelevanceMassAccuracy, quantus.Focus))
    case = {"model": None, "x_batch": x, "y_batch": k, **HERE}
    model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].size, 2)).eval()
    # It refuses one constant for the whole batch, not one an image.
    constant = np.broadcast_to(np.arange(1.0, len(x) + 1)[:, None, None, None], maps.shape).copy()
    return {
        "pointing": game(a_batch=maps, s_batch=masks, **case),
        "pointing at nothing": game(a_batch=maps, s_batch=empty, **case),
        "pointing of constants": game(a_batch=constant, s_batch=masks, **case),
        "mass": mass(a_batch=positive, s_batch=masks, **case),
        "signed mass": mass(a_batch=maps, s_batch=masks, **case),
        "focus": focus(a_batch=maps, custom_batch=a["tile"], **case | {"model": model}),
    }


def likeness(model, a, x, maps, k):
    one, two = (a[name] for name in ("scaled", "other_scaled"))
    logit = quantus.RandomLogit(similarity_func=correlation_spearman, num_classes=2, seed=1, **RAW)
    return {
        "spearman": correlation_spearman(one.reshape(len(x), -1), two.reshape(len(x), -1), batched=True),
        "ssim": ssim(one, two, batched=True),
        "ssim of sizes": ssim(abs(one), abs(two), batched=True),
        "other class": logit(model, x, a["zero_one"], saliency(model, x, a["zero_one"]), explain_func=saliency, **HERE),
    }


def main(folder):
    a = dict(np.load(folder / "arrays.npz"))
    for name in ("images", "blurred", "noisy"):
        a[name] = np.ascontiguousarray(a[name].transpose(0, 3, 1, 2))
    model, x, maps, k = network(a), a["images"], a["maps"][:, None], a["classes"]
    results = flipping(model, a, x, maps, k) | road(model, a, x, maps, k) | correlation(model, a, x, maps, k)
    results |= randomization(model, x, maps, k) | steadiness(model, a, x, maps, k)
    results |= places(a, x, maps, k) | likeness(model, a, x, maps, k)
    with torch.no_grad():
        results["logits"] = model(torch.tensor(x)).numpy()
    np.savez(folder / "found.npz", **{name: np.asarray(values) for name, values in results.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
