"""The history of a training run: one value an epoch for each figure."""

from collections.abc import Iterator, Mapping


class History(Mapping[str, list[float]]):
    """What an epoch ended with, by name: ``history["val_accuracy"]`` is a list with one value an epoch.

    Example:
        >>> history = History()
        >>> history.append({"epoch": 1, "loss": 0.5})
        >>> history["loss"], history.last
        ([0.5], {'epoch': 1, 'loss': 0.5})
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def append(self, epoch: Mapping[str, float]) -> None:
        """Add the figures of one epoch."""
        self.epochs.append(dict(epoch))

    @property
    def last(self) -> dict[str, float]:
        """The figures of the last epoch."""
        return self.epochs[-1]

    def __getitem__(self, name: str) -> list[float]:
        values = [epoch[name] for epoch in self.epochs if name in epoch]
        if not values:
            raise KeyError(f"no epoch has {name!r}; there is {', '.join(self) or 'nothing'}")
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name for epoch in self.epochs for name in epoch))

    def __len__(self) -> int:
        return len(dict.fromkeys(name for epoch in self.epochs for name in epoch))

    def __repr__(self) -> str:
        return f"History({self.epochs!r})"
