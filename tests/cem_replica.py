"""CEM as a slow replica from the paper, for a linear model: one image at a time, NumPy, nothing left out."""

from __future__ import annotations

import numpy as np

SHAPE, CLASSES = (6, 5, 3), 4


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


class Replica:
    """minimise c f + beta |d|_1 + |d|_2^2 + gamma |AE(z) - z|_2^2 as alg. 1 says; `mix` (C, C) is a linear AE."""

    def __init__(self, weights, bias, method, mix=None, momentum=None):
        self.w, self.b, self.m, self.mix = weights, bias, method, mix
        self.momentum = momentum or (lambda k: k / (k + 3) if method.momentum else 0)
        self.useless = 0

    def lead(self, z, t, positive):
        """What should be below -kappa, and its gradient."""
        logits = np.tensordot(z, self.w, 3) + self.b
        scores = logits if self.m.score == "logit" else softmax(logits)
        other = max((i for i in range(CLASSES) if i != t), key=lambda i: scores[i])
        by_score = np.eye(CLASSES)[t] - np.eye(CLASSES)[other]
        if self.m.score == "probability":
            by_score = (np.diag(scores) - np.outer(scores, scores)) @ by_score
        sign = -1 if positive else 1
        return sign * (scores[t] - scores[other]), sign * self.w @ by_score

    def gradient(self, origin, y, t, positive, c):
        lead, slope = self.lead(origin + y, t, positive)
        total = 2 * y + (c * slope if lead > -self.m.kappa else 0)
        if self.mix is not None:
            away = self.mix - np.eye(3)
            total = total + self.m.gamma * 2 * (origin + y) @ away @ away.T
        return np.clip(total, -self.m.clip, self.m.clip)

    def project(self, d, image, nothing, positive):
        out = np.zeros_like(d)
        for at in np.ndindex(d.shape):
            x, b = image[at], nothing[at]
            if positive:
                out[at] = min(max(d[at], min(0, x - b)), max(0, x - b))
            else:
                moved = min(max(d[at], -x), 1 - x)
                out[at] = moved if abs(x + moved - b) > abs(x - b) else 0
        return out

    def search(self, image, nothing, t, positive):
        m, origin = self.m, nothing if positive else image
        c, lower, upper = m.c_init_pp if positive else m.c_init, 0, 1e10
        best, distance, reached = None, 1e10, None
        if self.lead(origin, t, positive)[0] < -m.kappa:
            return np.zeros_like(image), None
        for _ in range(m.c_steps):
            d, y, hit = np.zeros_like(image), np.zeros_like(image), False
            for k in range(m.max_iterations):
                rate = m.rate * np.sqrt(1 - k / m.max_iterations)
                if k and rate * m.clip <= m.beta:
                    break
                z = y - rate * self.gradient(origin, y, t, positive, c)
                shrunk = np.where(z > m.beta, z - m.beta, np.where(z < -m.beta, z + m.beta, 0))
                after = self.project(shrunk, image, nothing, positive)
                following = self.project(after + self.momentum(k) * (after - d), image, nothing, positive)
                self.useless += not y.any() and not following.any()
                d, y = after, following
                size = m.beta * abs(d).sum() + (d**2).sum()
                if self.lead(origin + d, t, positive)[0] < -m.kappa:
                    hit = True
                    if size < distance:
                        best, distance, reached = d, size, c
            if hit:
                upper = min(upper, c)
            else:
                lower = max(lower, c)
            c = (lower + upper) / 2 if upper < 1e9 else c * 10
        return best, reached


def linear():
    """A softmax over logits that are linear in the image: the classifier, its weights (H, W, C, K) and bias (K,)."""
    from fruitaudit.models.keras.backend import keras
    from fruitaudit.models.keras.classifier import Classifier

    keras.utils.set_random_seed(5)
    scores = keras.layers.Dense(CLASSES, activation="softmax", kernel_initializer="glorot_normal")
    network = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), scores])
    weights = scores.get_weights()[0] * 0.6
    scores.set_weights([weights, np.array([0.1, -0.2, 0.3, 0.0], np.float32)])
    return Classifier.from_network(network), weights.reshape(*SHAPE, CLASSES), scores.get_weights()[1]
