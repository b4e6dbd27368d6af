"""Reading the digits of photographs and drawings: finding the ink, framing it, recognising it, doubting it.

For models of other images, ``prepare`` brings a picture to the form that their training images had.
"""

from handconv.reading.preparation import InputForm as InputForm
from handconv.reading.preparation import input_form as input_form
from handconv.reading.preparation import prepare as prepare
from handconv.reading.preparation import reads_digits as reads_digits
from handconv.reading.reader import Digit as Digit
from handconv.reading.reader import DigitReader as DigitReader
from handconv.reading.reader import Reading as Reading
from handconv.reading.reader import read_digit as read_digit

__all__ = [
    "Digit",
    "DigitReader",
    "InputForm",
    "Reading",
    "input_form",
    "prepare",
    "read_digit",
    "reads_digits",
]
