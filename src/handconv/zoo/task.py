"""What a network of the zoo is made for: so many classes, images of such a shape."""

from collections.abc import Sequence

from handconv.utils.validation import check_sample_shape, is_int


def check_task(owner: str, classes: int, input_shape: Sequence[int], smallest: int) -> None:
    """Check the number of classes, and that the images are large enough for something to be left at the end.

    Args:
        owner: the network, to begin a sentence with: "The reference network".
        classes: number of outputs.
        input_shape: channels, height and width of an image.
        smallest: the fewest rows, and columns, of an image.

    Raises:
        ValueError: if they are not.

    Example:
        >>> check_task("The reference network", 1, (1, 28, 28), 10)
        Traceback (most recent call last):
        ValueError: The reference network tells at least two classes apart, got 1.
    """
    if not is_int(classes) or classes < 2:
        raise ValueError(f"{owner} tells at least two classes apart, got {classes!r}.")
    if min(check_sample_shape(input_shape)[1:], default=smallest) < smallest:
        rule = f"at least {smallest}x{smallest} pixels"
        raise ValueError(f"{owner} takes images (C, H, W) of {rule}, got {input_shape!r}. Enlarge them.")
