"""Decodes image files; `decode` and `decode_image` are the same for training and serving."""

from media.images.clean_copy import clean_copy
from media.images.decoding import DecodedImage, decode, decode_image, decode_plain

__all__ = ["DecodedImage", "clean_copy", "decode", "decode_image", "decode_plain"]
