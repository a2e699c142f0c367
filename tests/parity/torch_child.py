"""Runs captum and zennit on an equal torch network: `python torch_child.py FOLDER`, by an interpreter that has them.

The folder holds `arrays.npz`: images and references (N, H, W, C), classes, and the weights of two convolutions, one
hidden and one last dense layer; afterwards also `found.npz` with maps (N, H, W) by name.
"""

import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn


def without_torchvision():
    """zennit asks for torchvision to canonize its networks, which no test needs, and its wheels come from elsewhere."""
    names = {"torchvision": [], "torchvision.models": [], "torchvision.models.resnet": ["Bottleneck", "BasicBlock"]}
    for name, classes in names.items():
        module = sys.modules[name] = types.ModuleType(name)
        for explanation in classes:
            setattr(module, explanation, type(explanation, (nn.Module,), {}))


def network(weights, pool=nn.MaxPool2d):
    """Convolution, ReLU, pooling, twice, and two dense layers."""
    layers = []
    for i in range(4):
        w, b = torch.tensor(weights[f"w{i}"]), torch.tensor(weights[f"b{i}"])
        if i < 2:
            layer = nn.Conv2d(w.shape[2], w.shape[3], tuple(w.shape[:2]))
            layer.weight.data = w.permute(3, 2, 0, 1).contiguous()
            layers += [layer, nn.ReLU(), pool(2)]
        else:
            if i == 2:  # torch flattens channels first
                w = w.reshape(*weights["flat_shape"], -1).permute(2, 0, 1, 3).reshape(w.shape)
            layer = nn.Linear(w.shape[0], w.shape[1])
            layer.weight.data = w.T.contiguous()
            layers += [nn.Flatten(), layer, nn.ReLU()] if i == 2 else [layer]
        layer.bias.data = b
    return nn.Sequential(*layers).eval()


def by_captum(model, averaging, x, r, k):
    from captum import attr
    from captum.attr._utils.lrp_rules import EpsilonRule

    for layer in model:
        if isinstance(layer, nn.Flatten):
            layer.rule = EpsilonRule()  # captum asks for one
    return {
        "guided_backprop": attr.GuidedBackprop(model).attribute(x, target=k),
        "deconvolution": attr.Deconvolution(model).attribute(x, target=k),
        "input_x_gradient": attr.InputXGradient(model).attribute(x.requires_grad_(), target=k),
        "deep_lift": attr.DeepLift(averaging).attribute(x, torch.zeros_like(x[:1]), target=k),
        "deep_shap": attr.DeepLiftShap(averaging).attribute(x, r, target=k),
        "deep_shap of maxima": attr.DeepLiftShap(model).attribute(x, r, target=k),
        "lrp zero": attr.LRP(model).attribute(x, target=k),
    }


def by_zennit(model, x, k):
    from zennit import composites

    shape = {"low": torch.zeros_like(x), "high": torch.ones_like(x)}
    explanation = {
        "epsilon_plus": composites.EpsilonPlus(),
        "epsilon_plus_flat": composites.EpsilonPlusFlat(),
        "epsilon_alpha2_beta1": composites.EpsilonAlpha2Beta1(),
        "epsilon_alpha2_beta1_flat": composites.EpsilonAlpha2Beta1Flat(),
        "epsilon_gamma_box": composites.EpsilonGammaBox(**shape),
    }
    results = {}
    for name, composite in explanation.items():
        inputs = x.clone().detach().requires_grad_()
        with composite.context(model) as changed:
            logits = changed(inputs)
            one = torch.eye(logits.shape[1])[k]
            [results[name]] = torch.autograd.grad(logits, inputs, one * logits.detach())
    return results


def main(folder):
    without_torchvision()
    arrays = dict(np.load(folder / "arrays.npz"))
    x, r = (torch.tensor(arrays[name]).permute(0, 3, 1, 2).contiguous() for name in ("images", "references"))
    k, model = torch.tensor(arrays["classes"]), network(arrays)
    results = by_captum(model, network(arrays, nn.AvgPool2d), x, r, k) | by_zennit(network(arrays), x.detach(), k)
    maps = {name: values.detach().sum(dim=1).numpy() for name, values in results.items()}
    np.savez(folder / "found.npz", logits=model(x).detach().numpy(), **maps)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
