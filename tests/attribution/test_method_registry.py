import json
import subprocess
import sys
from importlib import metadata

import pytest

from fruitaudit.attribution.methods.integrated_gradients import IntegratedGradients
from fruitaudit.attribution.methods.smoothgrad import SmoothGrad
from fruitaudit.attribution.registry import registrations
from fruitaudit.config.schema import MethodSettings
from fruitaudit.errors import ConfigError
from fruitaudit.providers.registry import all_methods, build, providers_of


def settings(value):
    return MethodSettings.model_validate(value)


def test_the_six_methods_of_the_foundation_are_found():
    assert set(registrations()) >= {
        "saliency", "smoothgrad", "grad_cam_pp", "integrated_gradients", "occlusion", "lime"
    }  # fmt: skip


def test_builds_what_a_config_writes():
    assert build(settings({"smoothgrad": {"samples": 7, "noise": 0}})) == SmoothGrad(samples=7, noise=0.0)
    assert build(settings("integrated_gradients")) == IntegratedGradients(steps=25, baseline="black")


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({"smoothgrad": {"sample": 3}}, "smoothgrad has no option 'sample'; did you mean 'samples'?"),
        ({"smoothgrad": {"samples": 0}}, "smoothgrad: samples must be greater than or equal to 1, not 0"),
        ({"smoothgrad": {"samples": True}}, "smoothgrad: samples must be a valid integer, not True"),
        ({"smoothgrad": {"noise": float("nan")}}, "smoothgrad: noise must be a finite number, not nan"),
        (
            {"integrated_gradients": {"steps": "many"}},
            "integrated_gradients: steps must be a valid integer, not 'many'",
        ),
        (
            {"integrated_gradients": {"baseline": "red"}},
            "integrated_gradients: baseline must be 'black', 'grey', 'white', 'blurred', 'mean_image' or 'uniform', "
            "not 'red'",
        ),
        (
            {"occlusion": {"patch": 3, "stride": 4}},
            "occlusion: stride must not be larger than patch, or pixels between the windows are never hidden",
        ),
        ("salience", "there is no method 'salience'; did you mean 'saliency'?"),
        ("occlusion@tf-keras-viz", "occlusion has no provider 'tf-keras-viz'; there is native, tf-explain"),
        ("saliency@tf-keras-viz", "saliency has no provider 'tf-keras-viz'; did you mean 'tf-keras-vis'?"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(written, sentence):
    with pytest.raises(ConfigError) as error:
        build(settings(written))
    assert str(error.value) == sentence


def test_a_missing_package_is_named(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(
        ConfigError, match=r"^saliency@tf-keras-vis needs the package tf-keras-vis: pip install tf-kera"
    ):
        build(settings("saliency@tf-keras-vis"))


def test_every_provider_has_a_native_method_and_comes_after_it():
    for name, provider in all_methods():
        assert providers_of(name)[0] == "native"
        assert provider in providers_of(name)


def test_looking_methods_up_imports_nothing_heavy():
    program = (
        "import json, sys; from fruitaudit.providers.registry import all_methods; all_methods();"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)
    heavy = {"tensorflow", "keras", "lime", "skimage", "sklearn", "cv2", "tf_keras_vis", "tf_explain", "pandas"}
    assert heavy.isdisjoint(loaded)


def test_looking_for_methods_changes_nothing_in_the_process():
    code = (
        "import os; before = dict(os.environ)\n"
        "from fruitaudit.providers.registry import all_methods; all_methods()\n"
        "assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
