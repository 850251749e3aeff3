"""A network with one hidden layer, and stochastic gradient descent one sample at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from colorpipe.color import Float

Array = NDArray[np.float64]
ROWS = 1 << 16
"""Samples copied, or predicted, at a time."""


class Mlp:
    """Code values (N, D) -> sigmoid units -> (N, outputs): sigmoid of each, or softmax over them.

    Inputs are divided by 255. The weights of a layer are (outputs, inputs + 1), the last column the bias; they start
    normally distributed.
    """

    def __init__(
        self, inputs: int, hidden: int, outputs: int, rng: np.random.Generator, *, softmax: bool = False
    ) -> None:
        self.softmax = softmax
        self.first: Array = rng.standard_normal((hidden, inputs + 1))
        self.second: Array = rng.standard_normal((outputs, hidden + 1))

    def learn(
        self, patches: NDArray[np.uint8], targets: Float, alpha: float, steps: int, rng: np.random.Generator
    ) -> None:
        """``steps`` steps down the gradient of one sample's loss, in passes over all samples, each in a new order.

        The loss is the squared error summed over the outputs, or the cross-entropy.
        """
        while steps > 0:
            order = rng.permutation(len(patches))[:steps]
            for start in range(0, len(order), ROWS):
                part = order[start : start + ROWS]
                self._descend(_with_bias(patches[part]), targets[part].astype(np.float64), alpha)
            steps -= len(order)

    def _descend(self, inputs: Array, targets: Array, alpha: float) -> None:
        """A step for each row. Every array is made once and the functions are local names: a step takes 11 us."""
        dot, add, subtract, multiply = np.dot, np.add, np.subtract, np.multiply
        exp, negative, reciprocal, highest, total = np.exp, np.negative, np.reciprocal, np.maximum.reduce, np.add.reduce
        first, second, softmax = self.first, self.second, self.softmax
        hidden = np.ones(second.shape[1])  # the last stays 1, for the bias
        units, back = hidden[:-1], second[:, :-1].T  # views
        z1, error1, slope1 = np.empty((3, len(units)))
        y, error2, slope2 = np.empty((3, len(second)))
        column1, column2 = error1[:, None], error2[:, None]
        gradient1, gradient2 = np.empty_like(first), np.empty_like(second)
        with np.errstate(over="ignore"):  # 1 / (1 + inf) is the 0 that is meant
            for x, target in zip(inputs, targets, strict=True):
                dot(first, x, z1)
                negative(z1, z1)
                exp(z1, z1)
                add(z1, 1, z1)
                reciprocal(z1, units)
                dot(second, hidden, y)
                if softmax:
                    subtract(y, highest(y), y)
                    exp(y, y)
                    multiply(y, 1 / total(y), y)
                    subtract(y, target, error2)
                    multiply(error2, alpha, error2)
                else:
                    negative(y, y)
                    exp(y, y)
                    add(y, 1, y)
                    reciprocal(y, y)
                    subtract(y, target, error2)
                    subtract(1, y, slope2)
                    multiply(slope2, y, slope2)
                    multiply(error2, slope2, error2)
                    multiply(error2, 2 * alpha, error2)
                dot(back, error2, error1)
                subtract(1, units, slope1)
                multiply(slope1, units, slope1)
                multiply(error1, slope1, error1)
                multiply(column2, hidden, gradient2)
                subtract(second, gradient2, second)
                multiply(column1, x, gradient1)
                subtract(first, gradient1, first)

    def predict(self, patches: NDArray[np.uint8]) -> Array:
        """(N, D) -> (N, outputs), 0..1."""
        parts = [patches[start : start + ROWS] for start in range(0, len(patches), ROWS)]
        return np.concatenate([self._forward(_with_bias(part)) for part in parts])

    def _forward(self, inputs: Array) -> Array:
        with np.errstate(over="ignore"):
            units = 1 / (1 + np.exp(-inputs @ self.first.T))
            y = units @ self.second[:, :-1].T + self.second[:, -1]
            if not self.softmax:
                return np.asarray(1 / (1 + np.exp(-y)))
        odds = np.exp(y - y.max(1, keepdims=True))
        return np.asarray(odds / odds.sum(1, keepdims=True))


def _with_bias(patches: NDArray[np.uint8]) -> Array:
    """(N, D) code values -> (N, D + 1), 0..1 and a 1."""
    return np.hstack([patches / 255, np.ones((len(patches), 1))])
