"""Shares of a total among players, when what one adds depends on who is there already.

phi_i = sum over S without i of |S|! (p - |S| - 1)! / p! * (v(S + i) - v(S)); the shares sum to v(all) - v(none).
Paper: Shapley 1953, "A value for n-person games", eq. 12; sampled permutations: Castro, Gomez, Tejada 2009,
Comput. Oper. Res. 36(5), section 3.
Differs from the papers: sampled orders come in pairs, one the reverse of the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import factorial

import numpy as np

from fruitaudit.records.data import DoubleArray

Subset = frozenset[str]

EXACT_UP_TO = 6
ORDERS = 24
"""Orders drawn where there are more players than that."""


def shares(players: Sequence[str], value: Mapping[Subset, DoubleArray]) -> dict[str, DoubleArray]:
    """Exact: `value` of every subset, (N,) each (one game per image) -> each player's share, (N,)."""
    p = len(players)
    share_by_player = {}
    for player in players:
        total = np.zeros_like(np.asarray(value[frozenset()], np.float64))
        for coalition in value:
            if player not in coalition and coalition <= set(players):
                size = len(coalition)
                total += factorial(size) * factorial(p - size - 1) / factorial(p) * (
                    value[coalition | {player}] - value[coalition]
                )  # fmt: skip
        share_by_player[player] = total
    return share_by_player


def shares_of_orders(orders: Sequence[Sequence[str]], value: Mapping[Subset, DoubleArray]) -> dict[str, DoubleArray]:
    """The mean, over the orders, of what each player adds when it comes in; `value` of every beginning of an order."""
    total = {player: np.zeros_like(np.asarray(value[frozenset()], np.float64)) for player in orders[0]}
    for order in orders:
        for i, player in enumerate(order):
            total[player] += value[frozenset(order[: i + 1])] - value[frozenset(order[:i])]
    return {player: sum_ / len(orders) for player, sum_ in total.items()}


def draw_orders(players: Sequence[str], rng: np.random.Generator, count: int = ORDERS) -> list[tuple[str, ...]]:
    """`count` orders, in pairs of an order and its reverse."""
    permutations = [tuple(players[i] for i in rng.permutation(len(players))) for _ in range(count // 2)]
    return [order for permutation in permutations for order in (permutation, permutation[::-1])]


def beginnings(orders: Sequence[Sequence[str]]) -> list[Subset]:
    """Every subset that an order begins with, each once."""
    return list(dict.fromkeys(frozenset(order[:i]) for order in orders for i in range(len(order) + 1)))
