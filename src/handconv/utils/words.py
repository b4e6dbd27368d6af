"""Numbers of things, in words."""


def counted(count: int, noun: str, more: str | None = None) -> str:
    """Say how many there are of something.

    Args:
        count: how many.
        noun: what one of them is called.
        more: what several are called, if an s behind the first word does not do.

    Example:
        >>> counted(1, "epoch"), counted(60_000, "image"), counted(2, "class", "classes")
        ('1 epoch', '60,000 images', '2 classes')
    """
    return f"{count:,} {noun if count == 1 else more or f'{noun}s'}"
