"""Numbers as the report prints them: with denominator and interval, never rounded to a certainty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fruitaudit.records import numbers
from fruitaudit.records.numbers import count
from fruitaudit.records.results import RunInfo
from fruitaudit.records.states import Estimate, Quantity

NBSP = "\u00a0"

METRICS: dict[str, tuple[str, str, bool]] = {
    "accuracy": ("Accuracy", "share of images given the right class", True),
    "no_information_rate": ("No-information rate", "accuracy of always answering the most frequent class", True),
    "balanced_accuracy": ("Balanced accuracy", "mean recall over classes", True),
    "log_loss": ("Log-loss", "mean of -ln p(true class); 0 is perfect", False),
    "cohen_kappa": ("Cohen's kappa", "agreement beyond chance; 1 is perfect, 0 is chance", False),
    "mcc": ("Matthews correlation", "1 is perfect, 0 is chance", False),
    "f1_macro": ("F1, macro", "mean over classes of the harmonic mean of precision and recall", False),
    "f1_micro": ("F1, micro", "over all images; equals accuracy here", False),
    "f1_weighted": ("F1, weighted", "mean over classes, weighted by support", False),
    "auc_macro": ("AUC, macro", "mean over classes; 1 is perfect, 0.5 is chance", False),
    "auc_micro": ("AUC, micro", "over all (image, class) pairs", False),
    "average_precision_macro": ("Average precision, macro", "area under precision-recall, mean over classes", False),
    "mean_confidence": ("Mean confidence", "mean of the largest probability", True),
    "ece": ("Expected calibration error", "mean gap between confidence and accuracy; 0 is perfect", False),
    "brier": ("Brier score", "mean squared error of the probabilities; 0 is perfect, 2 is worst", False),
}
"""Name of a metric -> (label, what it says, is a share of images)."""


def metric_label(name: str) -> str:
    """The metric in the field's words, e.g. "Top-3 accuracy"."""
    if name in METRICS:
        return METRICS[name][0]
    if name.startswith("top") and name.endswith("_accuracy"):
        return f"Top-{name[3:-9].strip('_')} accuracy"
    return name.replace("_", " ").capitalize()


def metric_says(name: str) -> str:
    """What the metric says, for readers who have not met it; empty for an unknown one."""
    if name.startswith("top") and name.endswith("_accuracy"):
        return "share of images whose true class is among the most probable ones"
    return METRICS[name][1] if name in METRICS else ""


def metric_order(names: Iterable[str]) -> list[str]:
    """The metrics as a reader wants them: accuracy and top-k first, then as in METRICS, unknown ones last."""
    order = list(METRICS)

    def place(name: str) -> tuple[float, str]:
        if name.startswith("top") and name.endswith("_accuracy"):
            return (0.5, name)
        return (order.index(name) if name in order else len(order), name)

    return sorted(dict.fromkeys(names), key=place)


def is_share(name: str) -> bool:
    """Whether the metric is a share of images, printed in percent."""
    return (name in METRICS and METRICS[name][2]) or name.endswith("accuracy")


def percent(value: float, digits: int = 1) -> str:
    """As `numbers.percent`, with no line break within."""
    return tight(numbers.percent(value, digits))


def number(value: float, *, share: bool = False) -> str:
    """As `numbers.number`, with no line break within."""
    return tight(numbers.number(value, share=share))


def interval(estimate: Estimate, *, share: bool = False) -> str:
    """`11.8\u201319.7 %`; empty where no interval is defined."""
    return tight(estimate.interval_text(share=share))


def denominator(estimate: Estimate) -> str:
    """`49 of 320`, or `320 images` where the value is no plain share."""
    return estimate.denominator_text()


def quantity(value: Quantity, *, share: bool | None = None) -> str:
    """`15.3 % (49 of 320; 95 % interval 11.8\u201319.7 %)`, or `not computed: <reason>`."""
    return tight(value.text(share=share))


def chance(value: float) -> str:
    """One probability of one image: `63.5 %`, `< 0.1 %`, `> 99.9 %`; 0 and 1 only where they are."""
    if 0 < value < 0.0005:
        return f"<{NBSP}0.1{NBSP}%"
    if 0.9995 <= value < 1:
        return f">{NBSP}99.9{NBSP}%"
    return f"{100 * value:.1f}{NBSP}%"


def significant(value: float) -> str:
    """A map's value with three significant digits: 0.0123, 22.6, 1.2e-05."""
    return f"{value:.3g}".replace("-", "\u2212")


def listing(items: Sequence[str], limit: int = 3) -> str:
    """`a, b, c and 4 more`."""
    text = ", ".join(items[:limit])
    return text if len(items) <= limit else f"{text} and {len(items) - limit} more"


def sentence(text: str) -> str:
    """With a capital and a full stop, as it may be written by hand or by rule."""
    return text[:1].upper() + text[1:] + "." * (not text.endswith((".", "!", "?")))


def tight(text: str) -> str:
    """With no line break between a number and its percent sign."""
    return text.replace(" %", NBSP + "%")


def cost(run: RunInfo) -> str:
    """`5 s, 864 MB, 25,685 model passes`, and how many steps the cache answered."""
    passes = sum(timing.forward_passes + timing.gradient_passes for timing in run.timings)
    text = f"{run.seconds:,.0f} s, {run.peak_memory_mb:,.0f} MB, {count(passes, 'model pass', 'model passes')}"
    cached = sum(timing.cached for timing in run.timings)
    if not cached:
        return text
    return f"{text} ({cached} of {count(len(run.timings), 'step')} answered from the cache of an earlier run)"
