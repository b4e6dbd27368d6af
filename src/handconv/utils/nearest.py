"""Guessing which of the known words was meant by an unknown one."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Guess what was meant: a question to be put behind a message, or what else is to be said, or all that is known.

    Args:
        word: what was given.
        known: what there is.
        otherwise: what is said where nothing is near, in place of the list.

    Example:
        >>> nearest("epoch", ["epochs", "seed"]), nearest("moon", ["epochs", "seed"])
        (' Did you mean epochs?', ' There are: epochs, seed.')
    """
    words = list(known)
    bare = {str(each).lstrip("-"): each for each in words}  # that all options begin with dashes is no likeness
    guesses = difflib.get_close_matches(str(word).lstrip("-"), bare, 1, 0.6)
    if guesses:
        return f" Did you mean {bare[guesses[0]]}?"
    return f" {otherwise}" if otherwise else f" There are: {', '.join(words)}."
