"""What can be wrong with the data: scale, sameness, colours, orientation, labels, samples that are there twice.

Whether images or labels are another kind than those that the model knows shows in its answers. For a share of right
answers a, one way of guessing, the most frequent class, is right for a share g; another reading of the data explains
what is wrong if with it

    a_other >= g + (1 - g) / 2        and        a_other - a >= (1 - g) / 4

that is, if the other reading lifts the model at least half way from guessing to perfection, and by at least a quarter
of that way. A model that is right on most samples, or that knows nothing, never meets both: other readings leave the
former worse and the latter guessing.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from handconv.analysis.doctor.case import Case, Part
from handconv.analysis.doctor.finding import Finding
from handconv.arrays import FloatArray
from handconv.layers import BatchNorm, GroupNorm, LayerNorm
from handconv.utils.hashing import row_hashes

#: The root mean square of inputs beyond which they are unscaled. Initial weights presume about 1; pixels from 0 to 1
#: have 0.1 to 0.6, standardised features 1, pixels from 0 to 255 at least 30.
_LARGE = 10.0
#: Fewer samples than this say nothing about labels: chance alone would then move the shares by a tenth.
_FEW = 100
#: The share of answers, in the mean over the classes, that must be off by the same number of classes. Confusion between
#: neighbours, of 4 with 5 say, never reaches it.
_SHIFTED = 0.6
#: Standard deviations above chance up to which labels count as unrelated to the inputs. Shuffled labels stay below in
#: 99 of 100 cases; labels that can be learnt are far above in one of the two tests.
_SIGMAS = 3.0
#: Fewer wrong answers than this say nothing about what they have in common.
_FEW_WRONG = 50
#: Where among the other classes the label stands on average in wrong answers, from 0, always the second choice, to 1/2,
#: at random; and the least share of errors among the surest fifth of the answers, in those of all. Healthy networks
#: that are right more often than a third of the way from guessing stay below 0.33 and, near it, below 0.4; half of the
#: labels at random give 0.36 to 0.48, and 0.55 to 1; partly learnt by heart, with a test set of better labels, 0.24 to
#: 0.3 and 0.48 to 0.7. Images that are far harder than those of the test set pass one of the latter limits at most.
_AT_RANDOM, _BY_HEART = (0.35, 0.55), (0.22, 0.45)
#: The share of test samples among the training samples that is a leak. MNIST and Fashion-MNIST have none.
_LEAK = 0.01
#: So many samples of a whole set may be there twice without one of the pairs within the training set.
_PARTED = 2
#: The share of training images that repeat an earlier one. MNIST and Fashion-MNIST have none; a set that was read twice
#: has a half.
_REPEATED = 0.45


def unscaled(case: Case, part: Part) -> Iterator[Finding]:
    """Inputs that are large for weights that presume about 1, unless the network scales them itself."""
    first = next((layer for layer in case.model.layers if layer.specs), None)
    if isinstance(first, BatchNorm | LayerNorm | GroupNorm):
        return
    size = math.sqrt(
        np.mean([np.mean(np.square(sample, dtype=np.float64)) for sample in map(part.floats, part.samples)])
    )
    if size > _LARGE:
        low, high = float(part.x.min()), float(part.x.max())
        pixels = low >= 0 and 128 <= high <= 255
        yield Finding(
            "unscaled inputs",
            f"The inputs of {part.name} run from {low:g} to {high:g}, with a root mean square of {size:.3g}; "
            "initial weights presume about 1.",
            "Divide pixels by 255, or give them as uint8, which the network divides itself."
            if pixels
            else "Subtract the mean of each feature and divide by its standard deviation, both of the training set.",
            "severe",
        )


def constant(_: Case, part: Part) -> Iterator[Finding]:
    """Samples that are all the same."""
    samples = part.samples
    if len(part) >= _FEW and np.array_equal(samples, np.broadcast_to(samples[:1], samples.shape)):
        low, high = float(samples[0].min()), float(samples[0].max())
        yield Finding(
            "constant inputs",
            f"All of {len(part):,} samples of {part.name} are the same, "
            f"with {f'numbers from {low:g} to {high:g}' if low < high else f'{low:g} everywhere'}.",
            "Look at how they were read and scaled: a division of whole numbers gives zeros, a failed reading too.",
            "severe",
        )


class _Reading(NamedTuple):
    """Another way to read images, with the name, the evidence and the remedy of the finding where it fits better."""

    name: str
    read: Callable[[FloatArray], FloatArray]
    how: str
    remedy: str
    needs_colour: bool = False


_READINGS = (
    _Reading(
        "inverted inputs",
        lambda images: images.max() + images.min() - images,
        "black and white exchanged; the images' corners are at {corners:.0%} of the brightness",
        "Give x.max() - x: the model was trained on images of the other kind.",
    ),
    _Reading(
        "transposed inputs",
        lambda images: images.swapaxes(2, 3),
        "rows and columns exchanged",
        "Exchange rows and columns, x.swapaxes(2, 3): the model was trained on images the other way round.",
    ),
    _Reading(
        "swapped channels",
        lambda images: images[:, ::-1],
        "the channels in reverse order",
        "Give x[:, ::-1]: the model was trained on RGB and these are BGR, as OpenCV reads them, or vice versa.",
        needs_colour=True,
    ),
)


def read_otherwise(case: Case, part: Part) -> Iterator[Finding]:
    """Images in negative, on their side or in BGR, and labels whose numbers are shifted: the first that fits."""
    if part.labels is None or len(part) < _FEW or part.shares.max() == 1:  # of one class, any answer fits
        return
    answers, guess = case.answers(part.samples), float(part.shares.max())
    accuracy = float(np.mean(answers == part.labels))

    def explains(other: float) -> bool:
        return _explains(other, accuracy, guess)

    if not explains(1.0):
        return
    images = part.images
    if images is not None and (misread := _misread(case, part, images, accuracy, explains)):
        yield misread
        return
    shift, share = _shift(answers, part)
    back = f"- {shift}" if 2 * shift <= part.classes else f"+ {part.classes - shift}"
    if share >= _SHIFTED and explains(float(np.mean((answers + shift) % part.classes == part.labels))):
        yield Finding(
            "shifted labels",
            f"For {share:.0%} of {part.name} the model answers (label {back}) % {part.classes}, and the "
            f"label for {accuracy:.0%}.",
            f"Number the classes as in the training: (y {back}) % {part.classes}, or mend the list of their names.",
            "severe",
        )


def _misread(
    case: Case, part: Part, images: FloatArray, accuracy: float, explains: Callable[[float], bool]
) -> Finding | None:
    """The first other reading of the images with which the model's answers are explained, if there is one."""
    for reading in _READINGS:
        if reading.needs_colour and images.shape[1] != 3:
            continue
        right = case.accuracy(part, reading.read(images))
        if explains(right):
            return Finding(
                reading.name,
                f"The model is right on {accuracy:.0%} of {part.name}, and on {right:.0%} with "
                f"{reading.how.format(corners=_corners(images))}.",
                reading.remedy,
                "severe",
            )
    return None


def one_class(_: Case, part: Part) -> Iterator[Finding]:
    """Labels that are all the same, so that there is nothing to tell apart."""
    if part.labels is not None and len(part) >= _FEW and part.shares.max() == 1:
        yield Finding(
            "a single class",
            f"All of {len(part):,} samples of {part.name} are of class {part.labels[0]}; the model tells "
            f"{part.classes} classes apart.",
            "Take samples of all classes: the first ones of a set that is sorted by class are of one alone.",
            "mild",
        )


def shuffled(case: Case, part: Part) -> Iterator[Finding]:
    """Labels that neither the nearest neighbour nor a linear map of the inputs tells better than chance does.

    The nearest neighbour sees what lies close together, the linear map (by least squares, on the other half) what one
    direction tells; labels that both miss belong to other samples, unless the model, however it does it, is better
    than chance on both sets. Each is judged by its mean over the classes, for which chance has 1 / K, however rare
    some classes are. Where the classes have too few samples for that, nothing is said.

    Maths:
        right[k] = share of the right answers among the samples of class k
        sum over k of right[k] / K  <=  1 / K + 3 · sqrt(sum over k of (1 / K) (1 - 1 / K) / n[k]) / K
    """
    if part.labels is None or len(part) < _FEW or np.count_nonzero(part.shares) < 2:
        return
    neighbour, linear = judged = _without_the_model(part)
    can_tell = neighbour.limit - neighbour.chance < (1 - neighbour.chance) / 4
    if can_tell and not (neighbour.beyond or linear.beyond) and not _generalises(case, part, judged):
        yield Finding(
            "shuffled labels",
            f"In {part.name} ({len(part):,} samples looked at) the nearest other sample has the same label for "
            f"{neighbour.right:.0%}, and a linear map is right on {linear.right:.0%}, in the mean over the classes; "
            f"chance has {neighbour.chance:.0%}. The labels tell nothing about these inputs.",
            "Look at some samples with their labels: x and y were sorted, shuffled or filtered apart from each other.",
            "severe",
        )


def noisy(case: Case, part: Part) -> Iterator[Finding]:
    """Labels of which a part is random, though the model knows the classes.

    A network that errs on hard samples takes the label for its second or third choice, and is right where it is sure.
    Where a label is random, it stands anywhere in the model's order of the classes, and no answer is safe from it. What
    a network has learnt by heart hides this in part; but then it is right more often on a test set of better labels.

    Maths:
        place = mean over wrong answers of (classes with scores between the label's and the answer's) / (K - 2)
    """
    if part.labels is None or part.classes < 4:
        return
    scores, guess = case.outputs(part.samples).astype(np.float64), float(part.shares.max())
    order = np.count_nonzero(scores > scores[np.arange(len(part)), part.labels][:, None], axis=1)  # 0: the answer
    wrong = order > 0
    share = float(wrong.mean())
    if np.count_nonzero(wrong) < _FEW_WRONG or 1 - share < guess + (1 - guess) / 3:
        return
    place = float((order[wrong] - 1).mean()) / (part.classes - 2)
    doubt = np.log(np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1))  # minus ln of the best's probability
    fifth = wrong[np.argsort(doubt, kind="stable")[: len(part) // 5]]
    surest = float(fifth.mean())
    by_chance = math.sqrt(surest * (1 - surest) / len(fifth))
    unseen = _right_on_test(case) if part is case.training else 0.0
    is_better_unseen = _explains(unseen, 1 - share, guess)
    anywhere, never_sure = _BY_HEART if is_better_unseen else _AT_RANDOM
    if place > anywhere and surest - by_chance > never_sure * share:
        others = part.classes - 1
        yield Finding(
            "noisy labels",
            f"The model is wrong on {share:.0%} of {part.name}, and still on {surest:.0%} of the fifth that it is "
            f"surest of. Where it is wrong, the label is choice {1 + place * (others - 1):.1f} of the {others} others "
            f"on average; at random it is {(1 + others) / 2:.1f}, errors on hard samples have it near 1."
            + (f" On the test set, which it did not see, it is right on {unseen:.0%}." if is_better_unseen else ""),
            "Look at the samples that it is surest of and wrong about: some labels seem to be random. If they cannot "
            "be mended, label smoothing and few epochs keep a network from learning them by heart.",
            "severe",
        )


def leaked(case: Case, part: Part) -> Iterator[Finding]:
    """Test samples that are training samples, bit for bit.

    Where samples repeat within the training set as well, few different ones exist (the four rows of XOR, say), and
    those of the test set are no leak. In a small set, a sample or two that are there twice may by chance be parted by
    the split and repeat nowhere else.
    """
    training, test = _hashes(case.training, part), _hashes(part, case.training)
    known = np.unique(training)
    repeats = len(training) - len(known)
    double = int((known[np.searchsorted(known, test).clip(max=len(known) - 1)] == test).sum())
    if double / len(test) >= max(_LEAK, 3 * (repeats + _PARTED) / len(training)):
        yield Finding(
            "leaked test set",
            f"{double:,} of {len(test):,} test samples ({double / len(test):.1%}) are also in the training set, "
            f"within which {repeats / len(training):.1%} repeat.",
            "Take them out of one of the two, and measure again: the accuracy on the test set is too good.",
            "severe",
        )


def repeated(case: Case) -> Iterator[Finding]:
    """Training images that are there more than once, bit for bit; rows of a table may well be the same."""
    part = case.training
    if part.images is None or len(part) < _FEW:
        return
    count, different = len(part.everything), len(np.unique(row_hashes(part.everything)))
    if count - different >= _REPEATED * count:
        yield Finding(
            "repeated images",
            f"Of {count:,} training images only {different:,} are different.",
            "Take each once, unless you repeat those of rare classes on purpose: an epoch takes longer than it needs, "
            "and a part that is kept aside for validation is trained on, too.",
            "mild",
        )


def _right_on_test(case: Case) -> float:
    """The share of right answers on the test set; 0 where there is none, or a small one."""
    if case.test is None or case.test.labels is None or len(case.test) < _FEW:
        return 0.0
    return float(np.mean(case.answers(case.test.samples) == case.test.labels))


def _explains(other: float, accuracy: float, guess: float) -> bool:
    """Whether another share of right answers is so much better, by the rule in the head of this file."""
    return other >= guess + (1 - guess) / 2 and other - accuracy >= (1 - guess) / 4


def _corners(images: FloatArray) -> float:
    """The mean of the four corner pixels, as a share of the range."""
    low, high = float(images.min()), float(images.max())
    return (float(images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].mean()) - low) / ((high - low) or 1.0)


def _shift(answers: NDArray[np.intp], part: Part) -> tuple[int, float]:
    """By how many classes the labels are most often above the answers, and how often: the mean over the classes.

    The mean over classes, not samples, so that a model which always gives one answer looks shifted for one class alone.
    """
    assert part.labels is not None
    off = (part.labels - answers) % part.classes
    present = np.flatnonzero(part.shares)
    table = np.stack([np.bincount(off[part.labels == each], minlength=part.classes) for each in present])
    shares = (table / table.sum(axis=1, keepdims=True)).mean(axis=0)
    shift = 1 + int(shares[1:].argmax())
    return shift, float(shares[shift])


class _Judged(NamedTuple):
    """The share of right answers, that of chance, and the most that may be chance, in the mean over the classes."""

    right: float
    chance: float
    limit: float

    @property
    def beyond(self) -> bool:
        return self.right > self.limit


def _without_the_model(part: Part) -> tuple[_Judged, _Judged]:
    """How often the nearest neighbour and the linear map tell the labels."""
    assert part.labels is not None
    products = _products(part.x.reshape(len(part), -1))
    answers = _by_neighbour(products, part), _by_linear_map(products, part)
    return _beyond_chance(answers[0], part.labels), _beyond_chance(answers[1], part.labels)


def _generalises(case: Case, part: Part, judged: tuple[_Judged, _Judged]) -> bool:
    """Whether the model is better than chance on this part and on the test set, so that there is something to learn.

    Where the test set's labels are told without the model, and this part's are not, it is no sign: what was learnt from
    shuffled labels gives one answer for all samples that are alike, and by luck is right for all of them.
    """
    test = case.test
    if test is None or test.labels is None or len(test) < _FEW:
        return False
    for there, here in zip(_without_the_model(test), judged, strict=True):
        if there.right - here.right > there.limit - there.chance + here.limit - here.chance:
            return False
    return all(
        each.labels is not None and _beyond_chance(case.answers(each.samples), each.labels).beyond
        for each in (part, test)
    )


def _beyond_chance(answers: NDArray[np.intp], labels: NDArray[np.intp]) -> _Judged:
    """Judge answers by the formulas of ``shuffled``."""
    counts = np.bincount(labels)
    rights = np.bincount(labels[answers == labels], minlength=len(counts))
    present = counts > 0
    chance = 1 / int(present.sum())
    right = float(np.mean(rights[present] / counts[present]))
    deviation = chance * math.sqrt(chance * (1 - chance) * float(np.sum(1 / counts[present])))
    return _Judged(right, chance, chance + _SIGMAS * deviation)


def _products(x: FloatArray) -> FloatArray:
    """The products of the samples with each other (n, n), after their mean was taken off."""
    x = x - x.mean(axis=0, dtype=np.float64).astype(x.dtype)
    return x @ x.T


def _by_neighbour(products: FloatArray, part: Part) -> NDArray[np.intp]:
    """The label of the nearest other sample, for each."""
    assert part.labels is not None
    half, nearest = products.diagonal() / 2, np.empty(len(products), np.intp)
    for row, with_others in enumerate(products):
        closeness = with_others - half  # half the row's own square minus half the squared distance
        closeness[row] = -np.inf
        nearest[row] = closeness.argmax()
    return part.labels[nearest]


def _by_linear_map(products: FloatArray, part: Part) -> NDArray[np.intp]:
    """The answers of a linear map, fitted to one half of the samples by least squares, for the other; both ways.

    It is solved among samples, (X·Xᵀ + r·I)·c = Y, so that a thousand samples of any size take two systems of 500. The
    ridge r is a tenth of the mean square of a sample, so that more features than samples do no harm. Y is centred: the
    answer is the class whose share is exceeded most.
    """
    count = len(products)
    truth = np.eye(part.classes)[part.labels] - part.shares
    ridge = 0.1 * np.trace(products, dtype=np.float64) / count + 1e-12
    order, answers = np.random.default_rng(0).permutation(count), np.empty(count, np.intp)
    for fit, judge in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        system = products[np.ix_(fit, fit)].astype(np.float64)
        system.ravel()[:: len(fit) + 1] += ridge
        coefficients = np.linalg.solve(system, truth[fit])
        answers[judge] = (products[np.ix_(judge, fit)] @ coefficients).argmax(axis=1)
    return answers


def _hashes(part: Part, other: Part) -> NDArray[np.uint64]:
    """A number for each sample of the whole set: as the network sees it, where the other set is of another type."""
    x = part.everything
    if x.dtype == other.everything.dtype:
        return row_hashes(x)
    return np.concatenate([row_hashes(part.floats(x[start : start + 1000])) for start in range(0, len(x), 1000)])
