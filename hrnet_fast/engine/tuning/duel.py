"""Whether one way to do a thing is faster than another, beyond the noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

ROUNDS = 11
WINS = 9  # of the rounds: as many by chance alone are 3 in 100
GAIN = 1.01  # less is not worth a change


@dataclass(frozen=True)
class Duel:
    """Two ways, timed in turns. old, new: medians, in the clock's unit. ratio: median of the rounds' old over new.
    wins: of the rounds, those in which the new way was the faster one."""

    old: float
    new: float
    ratio: float
    wins: int
    rounds: int

    @property
    def gained(self) -> bool:
        """Whether the new way is the faster one by more than the noise."""
        return self.wins >= WINS and self.ratio >= GAIN


def duel(old: Callable[[], float], new: Callable[[], float]) -> Duel:
    """Asks both clocks once a round; who comes first alternates."""
    rounds = [(old(), new()) if index % 2 else (new(), old())[::-1] for index in range(ROUNDS)]
    olds, news = zip(*rounds)
    wins = sum(theirs > mine for theirs, mine in rounds)
    return Duel(median(olds), median(news), median(theirs / mine for theirs, mine in rounds), wins, ROUNDS)
