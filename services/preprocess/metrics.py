"""Prometheus metrics of the preprocess service."""

from prometheus_client import Counter

IMAGES = Counter("tidepool_preprocess_images_total", "Images that were decoded and measured, or rejected.", ["outcome"])
