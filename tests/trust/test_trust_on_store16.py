"""On real photographs: what is known of methods from the literature must show."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fruitaudit.attribution.methods.guided_backprop import GuidedBackprop
from fruitaudit.attribution.methods.lime import Lime
from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.models.keras.classifier import Classifier, open_classifier
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust.changes import change, stability
from fruitaudit.trust.similarity import spearman, ssim

STREAMS = Streams(9)
Case = tuple[Classifier, Images, Targets]


@pytest.fixture(scope="module")
def case(store16: Path) -> Case:
    classifier = open_classifier(store16 / "models" / "fruit_cnn.keras")
    files = sorted((store16 / "store").glob("*/*.jpg"))[::20]
    photos = [cv2.imread(str(file))[..., ::-1] for file in files]
    values = np.stack([cv2.resize(p, (100, 100), interpolation=cv2.INTER_AREA) for p in photos]).astype("f4") / 255
    images = Images(values, tuple(f.name + f.parent.name for f in files), np.zeros(3, "f4"), np.ones(3, "f4"))
    return classifier, images, Targets(classifier.probabilities(values).argmax(axis=1))


def test_guided_backpropagation_ignores_the_layers_that_decide_and_the_gradient_does_not(case: Case) -> None:
    """Adebayo et al. 2018; Nie, Zhang, Patel 2018, arXiv:1805.07039. Redrawing the layers down to the last convolution
    leaves guided backpropagation's map nearly as it was; the sign of the gradient does not survive the first."""
    classifier, images, targets = case
    network = classifier.reinitialisable(STREAMS)

    def similarity(method):
        before = method(classifier, images, targets, STREAMS).values
        after = [method(network.reinitialised(network.layers[:k]), images, targets, STREAMS).values for k in (1, 2)]
        shape = ssim(abs(before), abs(after[1])).mean()
        return spearman(before, after[0]).mean(), spearman(before, after[1]).mean(), shape

    guided, gradient = similarity(GuidedBackprop(channels="sum")), similarity(Saliency(channels="sum"))
    assert min(guided[:2]) > 0.9
    assert max(map(abs, gradient[:2])) < 0.3
    assert guided[2] > gradient[2] + 0.1


def test_lime_s_superpixels_flip_under_noise_that_nobody_sees_and_the_gradient_s_do_not(case: Case) -> None:
    classifier, images, targets = case
    few = images.select(np.arange(6))
    noisy = change(classifier, few, "noise", 0.02, STREAMS)

    def steadiness(method):
        maps = (method(classifier, i, Targets(targets.classes[:6]), STREAMS).values for i in (few, noisy.images))
        return stability(few, noisy, *maps, STREAMS).spearman.value

    assert steadiness(Lime(samples=200)) < 0.7
    assert steadiness(Saliency()) > 0.85
