"""The images of dataset versions: their index, thumbnails and originals."""
