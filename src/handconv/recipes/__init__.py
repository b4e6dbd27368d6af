"""Recipes: how a network is trained, as readable TOML files, and what makes the objects that they describe.

    standard    what ``handconv train`` does unless told otherwise: Adam with one cycle of the rate; the command trains
                for five epochs, or 30 where there are few images
    fast        99 % on MNIST in seconds
    plain       Adam, an L2 penalty and dropout, ten epochs, as the reference network is usually described
    best        augmentation, warm-up and cosine, averaged weights: the most accurate, in minutes

A recipe is data: a mapping of plain values. ``load`` and ``read`` get it from files, ``changed`` and ``merged`` make
others of it, and ``check`` proves it. ``fit_arguments`` and ``network`` turn it into what ``fit`` takes.

>>> import handconv as hc
>>> recipe = hc.recipes.changed(hc.recipes.load("fast"), "optimizer.beta_1", 0.95)
>>> hc.recipes.fit_arguments(recipe)["optimizer"].beta_1
0.95
"""

from handconv.recipes.objects import OF_THE_ZOO as OF_THE_ZOO
from handconv.recipes.objects import check as check
from handconv.recipes.objects import fit_arguments as fit_arguments
from handconv.recipes.objects import network as network
from handconv.recipes.recipe import NAMES as NAMES
from handconv.recipes.recipe import Recipe as Recipe
from handconv.recipes.recipe import changed as changed
from handconv.recipes.recipe import entries as entries
from handconv.recipes.recipe import learning_rate as learning_rate
from handconv.recipes.recipe import load as load
from handconv.recipes.recipe import merged as merged
from handconv.recipes.recipe import read as read
from handconv.recipes.recipe import with_learning_rate as with_learning_rate

__all__ = [
    "NAMES",
    "OF_THE_ZOO",
    "Recipe",
    "changed",
    "check",
    "entries",
    "fit_arguments",
    "learning_rate",
    "load",
    "merged",
    "network",
    "read",
    "with_learning_rate",
]
