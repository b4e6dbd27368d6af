"""Networks ready to be trained, each a page with a table of its shapes.

reference   the small network that the command line trains unless told otherwise: 53,866 parameters
plus        a small modern one for grey images: residual, normalised, deep; 274,270 parameters
colour      the same for colour images of 32x32; 274,486 parameters
"""

from handconv.zoo.reference_network import reference as reference
from handconv.zoo.reference_network import trained_reference as trained_reference
from handconv.zoo.residual_networks import colour as colour
from handconv.zoo.residual_networks import plus as plus

__all__ = ["colour", "plus", "reference", "trained_reference"]
