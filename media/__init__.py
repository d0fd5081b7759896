"""Images and archives: decoding, resizing, reading zip files, and the metrics of a classifier."""
