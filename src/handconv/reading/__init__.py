"""Reading the digits of photographs and drawings: finding the ink, framing it, recognising it, doubting it."""

from handconv.reading.reader import Digit as Digit
from handconv.reading.reader import DigitReader as DigitReader
from handconv.reading.reader import Reading as Reading
from handconv.reading.reader import read_digit as read_digit

__all__ = ["Digit", "DigitReader", "Reading", "read_digit"]
