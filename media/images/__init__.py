"""Decodes image files; `decode` and `decode_image` are the same for training and serving."""

from media.images.decoding import DecodedImage, decode, decode_image, decode_plain

__all__ = ["DecodedImage", "decode", "decode_image", "decode_plain"]
