import dataclasses

import numpy as np
import pytest
from analytic_models import Linear, some_images, some_targets

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.methods.eigen_cam import EigenCam
from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.errors import CannotExplain, MachineError, ModelError
from fruitaudit.providers.tf_explain import SaliencyByTfExplain
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams


@dataclasses.dataclass(frozen=True)
class Planned:
    """A method that does as it is told."""

    registration = Saliency.registration
    act: object

    def __call__(self, model, images, targets, streams):
        if isinstance(self.act, Exception):
            raise self.act
        return Maps(self.act)


def reason(act, n=5):
    explanation = explain(Planned(act), Linear(), some_images((12, 10, 3), n=n), some_targets(n, 4), Streams(0))
    assert isinstance(explanation, NotRun)
    return explanation.reason


def test_a_crash_costs_the_method_alone_and_is_named():
    assert reason(ZeroDivisionError("by\nzero")) == "Saliency failed on this model: ZeroDivisionError: by"
    assert reason(KeyError()) == "Saliency failed on this model: KeyError: no message"


def test_what_does_not_apply_speaks_for_itself():
    assert reason(CannotExplain("no gradient here; use occlusion")) == "no gradient here; use occlusion"


def test_a_mistake_of_the_user_ends_the_run():
    with pytest.raises(ModelError, match="lambda"):
        reason(ModelError("the file holds a lambda"))


def test_too_little_memory_is_no_trait_of_the_model():
    with pytest.raises(MachineError, match=r"^Saliency ran out of memory: give .* or leave the method out$"):
        reason(MemoryError())


@pytest.mark.parametrize("bad", [np.zeros((5, 12, 10, 3), np.float32), np.zeros((5, 12, 10)), np.zeros((4, 12, 10))])
def test_a_result_of_the_wrong_kind_is_refused(bad):
    assert "returned maps of shape" in reason(bad)


def test_no_images_no_map():
    assert reason(np.zeros((0, 12, 10), np.float32), n=0) == "Saliency: there are no images to explain"


def test_a_map_that_is_not_finite_is_passed_on_to_be_named():
    nan = np.full((5, 12, 10), np.nan, np.float32)
    explanation = explain(Planned(nan), Linear(), some_images((12, 10, 3)), some_targets(5, 4), Streams(0))
    assert np.isnan(explanation.values).all()


@pytest.mark.parametrize("method", [Saliency(), SaliencyByTfExplain(), EigenCam()])
def test_why_a_rather_than_b_is_never_answered_with_why_a(method):
    targets = Targets(np.zeros(5, np.int64), against=np.ones(5, np.int64), rule="contrast")
    explanation = explain(method, Linear(), some_images((12, 10, 3)), targets, Streams(0))
    if isinstance(method, Saliency):
        assert isinstance(explanation, Maps)
    else:
        assert "cannot tell why one class was preferred to another" in explanation.reason


def test_a_method_gets_no_more_background_than_it_asks_for():
    import numpy as np

    from fruitaudit.attribution.explain import _with_fewer_references
    from fruitaudit.attribution.methods.saliency import Saliency
    from fruitaudit.records.data import Background, Images

    shared = Background(np.arange(5.0, dtype=np.float32)[:, None, None, None], np.arange(5), tuple("abcde"), 9)
    ends = np.zeros(1, np.float32), np.ones(1, np.float32)
    images = Images(np.zeros((1, 1, 1, 1), np.float32), ("x",), *ends, background=shared)

    class Two(Saliency):
        background_size = 2

    reference = _with_fewer_references(Two(), images).background
    assert reference is not None
    assert (reference.sample_ids, reference.labels.tolist(), reference.values.ravel().tolist()) == (
        ("a", "b"),
        [0, 1],
        [0, 1],
    )
    assert reference.population == 9
    assert _with_fewer_references(Saliency(), images) is images
