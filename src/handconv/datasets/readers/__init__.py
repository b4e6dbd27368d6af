"""The file formats in which people keep images and labels: IDX, CSV, .npz, folders of image files.

What comes out is always pixels as uint8 (N, 1, H, W) and class numbers as int64 (N,); what cannot be read is a
`DataError` of one sentence, or the ``OSError`` of the operating system if the file cannot be opened.
"""

from handconv.datasets.readers.csv import load_csv as load_csv
from handconv.datasets.readers.idx import encode_idx as encode_idx
from handconv.datasets.readers.idx import load_idx as load_idx
from handconv.datasets.readers.idx import read_idx as read_idx
from handconv.datasets.readers.idx import write_idx as write_idx
from handconv.datasets.readers.image_folder import load_image_folder as load_image_folder
from handconv.datasets.readers.images import read_picture as read_picture

__all__ = [
    "encode_idx",
    "load_csv",
    "load_idx",
    "load_image_folder",
    "read_idx",
    "read_picture",
    "write_idx",
]
