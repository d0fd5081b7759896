"""Images and archives: decoding, resizing, reading zips, and the scores of a classifier."""
